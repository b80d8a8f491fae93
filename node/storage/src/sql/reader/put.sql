INSERT INTO reader (consumer, position) VALUES ($1, $2)
ON CONFLICT (consumer) DO UPDATE SET position = excluded.position WHERE excluded.position > reader.position
