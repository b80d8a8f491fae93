DELETE FROM delivery WHERE sequence IN (
    SELECT d.sequence FROM delivery d WHERE d.expires <= $1 AND d.open = 0
        AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.sequence = d.sequence)
    ORDER BY d.expires LIMIT $2 + 0
)
