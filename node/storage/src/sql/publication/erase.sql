DELETE FROM publication WHERE sequence IN (
    SELECT p.sequence FROM publication p WHERE p.authority = $1 AND p.record_id = $2
    UNION
    SELECT p.sequence FROM publication p WHERE p.target_origin = $1 AND p.target_record = $2
)
