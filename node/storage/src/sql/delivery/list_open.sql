SELECT d.sequence, s.origin, s.recipient, d.record_id, d.kind,
    CASE WHEN d.open = 1 AND d.state = 1 AND s.held = 1 THEN 6 ELSE d.state END AS shown,
    d.attempts + CASE WHEN d.open = 1 THEN s.attempts ELSE 0 END AS tried,
    CASE WHEN d.open = 1 AND d.state = 1 AND s.reason <> '' THEN s.reason ELSE d.reason END AS why,
    d.queued, d.finished, CASE WHEN d.open = 1 AND d.state = 1 THEN s.next_attempt ELSE 0 END AS again, d.agreement
FROM out_stream s CROSS JOIN delivery d
WHERE d.stream = s.id AND d.open = 1 AND d.number > 0 AND d.state = 1
    AND d.sequence < $1 AND ($2 = '' OR s.recipient = $2) AND s.held = $3
    AND (d.queued >= $5 OR d.finished >= $5)
ORDER BY d.sequence DESC LIMIT $4 + 0
