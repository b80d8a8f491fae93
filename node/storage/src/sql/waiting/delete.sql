DELETE FROM waiting WHERE arrival IN (VALUES ($1))
