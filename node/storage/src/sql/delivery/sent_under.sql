SELECT d.agreement, d.grant_number FROM delivery d JOIN out_stream s ON s.id = d.stream
WHERE d.record_id = $1 AND s.origin = $2 AND s.recipient = $3 AND d.state IN (1, 2, 6) AND d.grant_number >= 0
ORDER BY d.sequence DESC
