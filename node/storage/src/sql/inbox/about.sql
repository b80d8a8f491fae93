SELECT position, recipient, origin, record_id, kind, target_origin, target_record, received, expires, keep_until, traceparent, envelope, usage
FROM inbox WHERE target_record = $2 AND target_origin = $1 AND target_origin <> '' AND origin = $3 ORDER BY position DESC LIMIT $4 + 0
