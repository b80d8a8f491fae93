SELECT origin, record_id, recipient, counter, received, due_by, done_at, notice FROM withdrawal WHERE origin = $1 AND record_id = $2
