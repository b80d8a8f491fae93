SELECT position, recipient, origin, record_id, kind, target_origin, target_record, received, expires, keep_until, traceparent, envelope, usage
FROM inbox WHERE kind = $1 AND position < $2 ORDER BY position DESC LIMIT $3 + 0
