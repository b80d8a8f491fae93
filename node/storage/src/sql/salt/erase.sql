UPDATE salt SET erased = 1 WHERE record_id = $2 OR record_id IN (
    SELECT i.record_id FROM inbox i WHERE i.target_origin = $1 AND i.target_record = $2
    UNION
    SELECT p.record_id FROM publication p WHERE p.target_origin = $1 AND p.target_record = $2
)
