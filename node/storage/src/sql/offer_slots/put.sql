INSERT INTO offer_slots (offer, version, body) VALUES ($1, $2, $3)
ON CONFLICT (offer) DO UPDATE SET version = excluded.version, body = excluded.body
