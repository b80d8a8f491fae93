INSERT INTO publication (sequence, authority, record_id, kind, target_origin, target_record, created, expires, body)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
