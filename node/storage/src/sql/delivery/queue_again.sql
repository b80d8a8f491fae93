UPDATE delivery SET open = 1, state = 1, reason = '', finished = 0, number = again.number
FROM (
    SELECT due.sequence AS sequence, row_number() OVER (ORDER BY due.sequence) + $5 AS number
    FROM (
        SELECT d.sequence AS sequence FROM delivery d JOIN outbox o ON o.sequence = d.sequence
        WHERE d.state > 2 AND d.state = 6 AND d.stream = $1 AND d.agreement = $2 AND d.kind = $7
            AND d.finished <= $3 AND d.expires > $4
        ORDER BY d.sequence LIMIT $6 + 0
    ) AS due
) AS again
WHERE delivery.sequence = again.sequence
