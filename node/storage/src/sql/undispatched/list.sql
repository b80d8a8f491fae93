SELECT u.sequence, p.authority, p.record_id, p.kind, p.target_origin, p.target_record, p.created, p.expires, p.body, u.sequence
FROM undispatched u LEFT JOIN publication p ON p.sequence = u.sequence
ORDER BY u.sequence LIMIT $1 + 0
