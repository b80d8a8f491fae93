SELECT d.number - s.base, d.record_id, d.kind, d.digest, d.agreement, d.skip, d.as_of, d.traceparent, d.queued, d.expires, d.waiting_since, o.envelope,
    d.grant_number, d.purpose, d.tlp, d.pap, d.created, d.facet, d.facet_more, d.key_id, s.first_unsettled, d.sequence, d.given
FROM out_stream s JOIN delivery d ON d.stream = s.id AND d.open = 1 AND d.number >= s.base + s.first_unsettled AND d.number < s.base + s.next
LEFT JOIN outbox o ON o.sequence = d.sequence
WHERE s.origin = $1 AND s.recipient = $2 AND s.class = $3 AND s.held = 0
ORDER BY d.number LIMIT $4 + 0
