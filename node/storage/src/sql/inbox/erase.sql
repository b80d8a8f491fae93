DELETE FROM inbox WHERE position IN (
    SELECT t.position FROM taken t WHERE t.origin = $1 AND t.record_id = $2
    UNION
    SELECT i.position FROM inbox i WHERE i.target_origin = $1 AND i.target_record = $2
)
