SELECT min(position) AS position, recipient, origin FROM inbox WHERE kind = $1 GROUP BY recipient, origin ORDER BY recipient, origin
