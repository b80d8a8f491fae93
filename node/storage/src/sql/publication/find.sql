WITH asked (authority, record_id) AS (VALUES ($1, $2))
SELECT p.authority, p.record_id, p.sequence, coalesce(u.sequence, 0)
FROM asked JOIN publication p ON p.authority = asked.authority AND p.record_id = asked.record_id
LEFT JOIN undispatched u ON u.sequence = p.sequence
