UPDATE owed SET due = $4, attempts = attempts + 1, reason = $5 WHERE what = $1 AND recipient = $2 AND subject = $3
