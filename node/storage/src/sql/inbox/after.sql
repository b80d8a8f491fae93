SELECT position, recipient, origin, record_id, kind, target_origin, target_record, received, expires, keep_until, traceparent, envelope, usage
FROM inbox WHERE position > $1 AND ($2 = 0 OR (($2 >> kind) & 1) = 1) ORDER BY position LIMIT $3 + 0
