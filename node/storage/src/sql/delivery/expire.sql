UPDATE delivery SET skip = 'EXPIRED', state = 7, reason = 'EXPIRED', finished = $1
WHERE open = 1 AND skip = '' AND sequence IN (
    SELECT o.sequence FROM outbox o WHERE o.expires <= $1 ORDER BY o.expires, o.sequence LIMIT $2 + 0
)
