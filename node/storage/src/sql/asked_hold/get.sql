SELECT id, ours, owner, offer, asked, state, token, extended, keep_until FROM asked_hold WHERE id = $1
