SELECT s.recipient, s.held, CAST(sum(s.next - s.first_unsettled + CASE WHEN s.again_upto = 0 THEN 0 ELSE (
    SELECT count(*) FROM delivery d
    WHERE d.stream = s.id AND d.open = 1 AND d.sequence > s.again_after AND d.sequence <= s.again_upto
) END) AS BIGINT) AS open_items
FROM out_stream s WHERE s.first_unsettled < s.next OR s.again_upto > 0 GROUP BY s.recipient, s.held ORDER BY s.recipient
