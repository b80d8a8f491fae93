INSERT INTO withdrawal (origin, record_id, recipient, counter, received, due_by, done_at, notice)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (origin, record_id) DO UPDATE SET counter = excluded.counter, due_by = excluded.due_by, done_at = excluded.done_at, notice = excluded.notice
