SELECT i.position, i.recipient, i.origin, i.record_id, i.kind, i.target_origin, i.target_record, i.received, i.expires, i.keep_until, i.traceparent, i.envelope, i.usage
FROM taken t JOIN inbox i ON i.position = t.position WHERE t.origin = $1 AND t.record_id = $2
