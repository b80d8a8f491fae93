SELECT i.position, i.recipient, i.origin, i.record_id, i.kind, i.target_origin, i.target_record, i.received, i.expires, i.keep_until, i.traceparent, i.envelope, i.usage
FROM (
    SELECT position, row_number() OVER (PARTITION BY origin ORDER BY position DESC) AS turn
    FROM inbox WHERE target_record = $2 AND target_origin = $1 AND target_origin <> ''
) AS about
JOIN inbox i ON i.position = about.position
ORDER BY about.turn, about.position DESC LIMIT $3 + 0
