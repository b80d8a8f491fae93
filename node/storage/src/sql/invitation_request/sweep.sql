DELETE FROM invitation_request WHERE request IN (
    SELECT request FROM invitation_request WHERE expires <= $1 ORDER BY expires LIMIT $2 + 0
)
