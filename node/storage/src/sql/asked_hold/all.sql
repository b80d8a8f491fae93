SELECT id, ours, owner, offer, asked, state, token, extended, keep_until FROM asked_hold ORDER BY asked, id
