SELECT origin, record_id, recipient, counter, received, due_by, done_at, notice FROM withdrawal
WHERE origin = $1 AND recipient = $2 AND counter > $3 AND length(notice) > 0 ORDER BY counter LIMIT $4 + 0
