SELECT d.sequence, s.origin, s.recipient, d.record_id, d.kind,
    CASE WHEN d.open = 1 AND d.state = 1 AND s.held = 1 THEN 6 ELSE d.state END AS shown,
    d.attempts + CASE WHEN d.open = 1 THEN s.attempts ELSE 0 END AS tried,
    CASE WHEN d.open = 1 AND d.state = 1 AND s.reason <> '' THEN s.reason ELSE d.reason END AS why,
    d.queued, d.finished, CASE WHEN d.open = 1 AND d.state = 1 THEN s.next_attempt ELSE 0 END AS again, d.agreement
FROM delivery d JOIN out_stream s ON s.id = d.stream
WHERE d.stream = $2 AND d.sequence < $1
    AND ($3 = 0 OR $3 = CASE WHEN d.open = 1 AND d.state = 1 AND s.held = 1 THEN 6 ELSE d.state END)
    AND (d.queued >= $5 OR d.finished >= $5)
ORDER BY d.sequence DESC LIMIT $4 + 0
