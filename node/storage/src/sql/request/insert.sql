INSERT INTO request (scope, request_id, body, answer, expires) VALUES ($1, $2, $3, $4, $5)
