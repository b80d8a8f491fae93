DELETE FROM outbox WHERE sequence IN (
    SELECT o.sequence FROM outbox o JOIN delivery d ON d.sequence = o.sequence
    WHERE o.expires <= $1 AND d.open = 0 ORDER BY o.expires LIMIT $2 + 0
)
