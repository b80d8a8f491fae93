INSERT INTO inbox (position, recipient, origin, record_id, kind, target_origin, target_record, digest, received, expires, keep_until, traceparent, envelope, usage)
SELECT $2, recipient, origin, record_id, kind, target_origin, target_record, digest, received, expires, keep_until, traceparent, envelope, usage
FROM hidden_inbox WHERE arrival = $1
