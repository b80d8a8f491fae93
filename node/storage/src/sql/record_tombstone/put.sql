INSERT INTO tombstone (record_hash, erased) VALUES ($1, $2)
ON CONFLICT (record_hash) DO NOTHING
