INSERT INTO own_offer (id, body, version, unconfirmed) VALUES ($1, $2, $3, $4)
ON CONFLICT (id) DO UPDATE SET body = excluded.body, version = excluded.version, unconfirmed = excluded.unconfirmed
