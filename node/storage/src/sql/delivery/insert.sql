INSERT INTO delivery (sequence, stream, number, record_id, kind, digest, agreement, grant_number, as_of, traceparent, queued,
    expires)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
