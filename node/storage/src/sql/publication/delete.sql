DELETE FROM publication WHERE sequence IN (VALUES ($1))
