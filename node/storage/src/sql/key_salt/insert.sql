INSERT INTO salt (slot, sealed) VALUES ($1, $2)
