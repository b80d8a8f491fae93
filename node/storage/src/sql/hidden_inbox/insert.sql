INSERT INTO hidden_inbox (recipient, origin, record_id, kind, target_origin, target_record, digest, received, expires, keep_until, traceparent, envelope, usage)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
