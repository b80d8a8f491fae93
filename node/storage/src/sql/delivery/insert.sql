INSERT INTO delivery (sequence, stream, number, record_id, kind, digest, agreement, grant_number, as_of, traceparent, queued,
    expires, purpose, tlp, pap, created, facet, facet_more, key_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
