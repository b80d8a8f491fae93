UPDATE delivery SET open = 1, state = 1, reason = '', finished = 0, waiting_since = 0,
    given = CASE WHEN delivery.state = 2 THEN delivery.finished ELSE delivery.given END, number = again.number
FROM (
    SELECT d.sequence AS sequence, row_number() OVER (ORDER BY d.sequence) + $5 AS number
    FROM delivery d JOIN outbox o ON o.sequence = d.sequence
    WHERE d.stream = $1 AND d.sequence > $2 AND d.sequence <= $3 AND d.state IN (1, 2, 6) AND d.expires > $4
) AS again
WHERE delivery.sequence = again.sequence
