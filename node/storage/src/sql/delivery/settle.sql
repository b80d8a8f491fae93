UPDATE delivery SET open = 0, state = $4, reason = $5, attempts = attempts + $6, finished = $7
WHERE stream = $1 AND open = 1 AND number >= $2 AND number <= $3
