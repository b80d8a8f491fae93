UPDATE head SET publication = $1, delivery = $2, position = $3, slot = $4,
    audit_size = $5, audit_root = $6, audit_frontier = $7, audit_time = $8
WHERE id = 1
