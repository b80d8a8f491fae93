DELETE FROM inbox WHERE position IN (VALUES ($1))
