INSERT INTO asked_hold (id, ours, owner, offer, asked, state, token, extended, keep_until)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (id) DO UPDATE SET state = excluded.state, token = excluded.token, extended = excluded.extended,
    keep_until = excluded.keep_until
