INSERT INTO disclosure (authority, record_id, recipient, kind, scope, purpose, case_index, share, shared_at, erase_by, state, counter, noticed_at, due_by, answered_at, receipt)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
ON CONFLICT (authority, record_id) DO UPDATE SET state = excluded.state, counter = excluded.counter,
    noticed_at = excluded.noticed_at, due_by = excluded.due_by, answered_at = excluded.answered_at, receipt = excluded.receipt
