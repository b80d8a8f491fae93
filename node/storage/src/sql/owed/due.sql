SELECT what, recipient, subject, since, due, attempts, reason FROM owed
WHERE what = $1 AND recipient = $2 AND (due <= $3 OR (due > $3 + 3600000 AND (attempts > 0 OR since > $3)))
ORDER BY since, subject LIMIT $4 + 0
