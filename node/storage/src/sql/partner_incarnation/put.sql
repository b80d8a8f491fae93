INSERT INTO partner_incarnation (ours, theirs, incarnation, hello) VALUES ($1, $2, $3, $4)
ON CONFLICT (ours, theirs) DO UPDATE SET incarnation = excluded.incarnation, hello = excluded.hello
