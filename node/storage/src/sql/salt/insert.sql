INSERT INTO salt (record_id, slot) VALUES ($1, $2)
