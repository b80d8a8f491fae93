SELECT sequence, record_id, authority, kind FROM publication
WHERE expires <= $1 AND NOT EXISTS (SELECT 1 FROM undispatched u WHERE u.sequence = publication.sequence)
ORDER BY expires LIMIT $2 + 0
