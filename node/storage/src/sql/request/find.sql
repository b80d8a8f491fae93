WITH asked (scope, request_id) AS (VALUES ($1, $2))
SELECT r.scope, r.request_id, r.body, r.answer
FROM asked JOIN request r ON r.scope = asked.scope AND r.request_id = asked.request_id
