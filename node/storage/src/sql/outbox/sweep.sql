DELETE FROM outbox WHERE sequence IN (
    SELECT o.sequence FROM outbox o WHERE o.expires <= $1 ORDER BY o.expires, o.sequence LIMIT $2 + 0
)
