UPDATE delivery SET state = 7, reason = 'EXPIRED', finished = $1
WHERE sequence IN (
    SELECT d.sequence FROM delivery d WHERE d.state > 2 AND d.state = 6 AND d.expires <= $1 ORDER BY d.sequence LIMIT $2 + 0
)
