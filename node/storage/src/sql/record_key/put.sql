INSERT INTO record_key (origin, record_id, sealed) VALUES ($1, $2, $3)
