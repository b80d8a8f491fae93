SELECT s.origin, s.recipient, s.class, d.agreement, d.kind, count(*) AS items, min(d.finished) AS oldest
FROM delivery d JOIN out_stream s ON s.id = d.stream
WHERE d.state > 2 AND d.state = 6
GROUP BY s.origin, s.recipient, s.class, d.agreement, d.kind
ORDER BY s.origin, s.recipient, s.class, d.agreement, d.kind
