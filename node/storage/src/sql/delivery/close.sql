UPDATE delivery SET open = 0, state = 8, reason = $2, finished = $3, attempts = attempts + $4 WHERE stream = $1 AND (open = 1 OR state = 6)
