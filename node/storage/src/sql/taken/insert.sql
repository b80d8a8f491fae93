INSERT INTO taken (origin, record_id, position, forget_at) VALUES ($1, $2, $3, $4)
