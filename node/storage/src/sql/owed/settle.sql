DELETE FROM owed WHERE (what, recipient, subject) IN (VALUES ($1, $2, $3))
