UPDATE delivery SET open = 0, state = CASE WHEN skip = '' OR skip = 'EXPIRED' THEN 7 ELSE 5 END,
    reason = CASE WHEN skip = '' THEN 'EXPIRED' ELSE skip END, finished = $2
WHERE stream = $1 AND open = 1 AND (skip <> '' OR expires <= $2)
