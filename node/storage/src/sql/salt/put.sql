INSERT INTO salt (record_id, slot) VALUES ($1, $2) ON CONFLICT (record_id) DO UPDATE SET slot = excluded.slot
