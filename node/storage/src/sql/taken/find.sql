WITH asked (origin, record_id) AS (VALUES ($1, $2))
SELECT t.origin, t.record_id, t.position
FROM asked JOIN taken t ON t.origin = asked.origin AND t.record_id = asked.record_id
