UPDATE delivery SET open = 0, state = CASE WHEN skip = 'EXPIRED' THEN 7 ELSE 5 END, reason = skip, attempts = attempts + $4, finished = $5
WHERE stream = $1 AND open = 1 AND number >= $2 AND number <= $3
