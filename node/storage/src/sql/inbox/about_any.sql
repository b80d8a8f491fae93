WITH asked (origin, record_id) AS (VALUES ($1, $2))
SELECT i.position, i.recipient, i.origin, i.record_id, i.kind, i.target_origin, i.target_record, i.received, i.expires, i.keep_until, i.traceparent, i.envelope, i.usage
FROM asked JOIN inbox i ON i.target_record = asked.record_id AND i.target_origin = asked.origin AND i.target_origin <> ''
