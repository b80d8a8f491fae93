DELETE FROM salt WHERE record_id IN (VALUES ($1))
