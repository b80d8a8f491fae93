SELECT p.sequence, p.authority, p.record_id, p.kind, p.target_origin, p.target_record, p.created, p.expires, p.body, coalesce(u.sequence, 0)
FROM publication p LEFT JOIN undispatched u ON u.sequence = p.sequence
WHERE p.target_record = $2 AND p.target_origin = $1 AND p.target_origin <> '' AND p.authority = $3
ORDER BY p.sequence DESC LIMIT $4 + 0
