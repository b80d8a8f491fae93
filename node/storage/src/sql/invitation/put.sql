INSERT INTO invitation (id, held) VALUES ($1, $2)
ON CONFLICT (id) DO UPDATE SET held = excluded.held
