SELECT count(*), COALESCE(max(piece.sequence), 0) FROM (
    SELECT d.sequence AS sequence FROM delivery d WHERE d.stream = $1 AND d.sequence > $2 AND d.sequence <= $3
    ORDER BY d.sequence LIMIT $4 + 0
) AS piece
