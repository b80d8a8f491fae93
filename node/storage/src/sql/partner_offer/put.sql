INSERT INTO partner_offer (origin, id, version, age_at_sending, received, keep_until, view)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (origin, id) DO UPDATE SET version = excluded.version, age_at_sending = excluded.age_at_sending,
    received = excluded.received, keep_until = excluded.keep_until, view = excluded.view
WHERE excluded.version >= partner_offer.version
