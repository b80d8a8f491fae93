INSERT INTO partner_offer (origin, id, version, age_at_sending, received, view) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (origin, id) DO UPDATE SET version = excluded.version, age_at_sending = excluded.age_at_sending,
    received = excluded.received, view = excluded.view
WHERE excluded.version >= partner_offer.version
