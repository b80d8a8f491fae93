UPDATE delivery SET skip = 'RECORD_WITHDRAWN', state = 8, reason = 'RECORD_WITHDRAWN', finished = $3
WHERE (open = 1 AND skip = '' OR state = 6) AND sequence IN (
    SELECT d.sequence FROM delivery d JOIN out_stream s ON s.id = d.stream WHERE d.record_id = $2 AND s.origin = $1
    UNION
    SELECT d.sequence FROM publication p JOIN delivery d ON d.record_id = p.record_id
    JOIN out_stream s ON s.id = d.stream AND s.origin = p.authority WHERE p.target_record = $2 AND p.target_origin = $1
)
