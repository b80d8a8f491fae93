INSERT INTO owed (what, recipient, subject, since, due) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (what, recipient, subject) DO NOTHING
