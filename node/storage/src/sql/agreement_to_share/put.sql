INSERT INTO agreement_to_share (id, authority, case_index, version, keep_until, sealed) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (id) DO UPDATE SET version = excluded.version, sealed = excluded.sealed, unconfirmed = 0
