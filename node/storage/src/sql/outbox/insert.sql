INSERT INTO outbox (sequence, expires, envelope) VALUES ($1, $2, $3)
