DELETE FROM request WHERE (scope, request_id) IN (
    SELECT scope, request_id FROM request WHERE expires <= $1 ORDER BY expires LIMIT $2 + 0
)
