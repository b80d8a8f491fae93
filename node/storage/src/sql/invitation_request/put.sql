INSERT INTO invitation_request (request, body, invitation, expires) VALUES ($1, $2, $3, $4)
ON CONFLICT (request) DO UPDATE SET body = excluded.body, invitation = excluded.invitation, expires = excluded.expires
