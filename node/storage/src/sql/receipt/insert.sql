INSERT INTO receipt (stream, first, items, at, signed) VALUES ($1, $2, $3, $4, $5)
