INSERT INTO partner_incarnation (ours, theirs, incarnation) VALUES ($1, $2, $3)
ON CONFLICT (ours, theirs) DO UPDATE SET incarnation = excluded.incarnation
