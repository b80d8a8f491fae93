DELETE FROM disclosure WHERE (authority, record_id) IN (VALUES ($1, $2))
