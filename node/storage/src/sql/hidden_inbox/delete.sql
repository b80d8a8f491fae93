DELETE FROM hidden_inbox WHERE arrival IN (VALUES ($1))
