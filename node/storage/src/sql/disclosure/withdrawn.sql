SELECT authority, record_id, recipient, kind, scope, purpose, case_index, share, shared_at, erase_by, state, counter, noticed_at, due_by, answered_at, receipt FROM disclosure
WHERE authority = $1 AND recipient = $2 AND counter > $3 AND (counter > $4 OR state = 2) ORDER BY counter LIMIT $5 + 0
