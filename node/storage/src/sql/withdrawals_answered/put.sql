INSERT INTO withdrawals_answered (ours, partner, contact, unknown) VALUES ($1, $2, $3, $4)
ON CONFLICT (ours, partner) DO UPDATE SET contact = excluded.contact, unknown = excluded.unknown
