INSERT INTO undispatched (sequence) VALUES ($1)
