SELECT d.sequence, o.envelope FROM delivery d JOIN outbox o ON o.sequence = d.sequence WHERE d.sequence > $1 ORDER BY d.sequence LIMIT $2 + 0
