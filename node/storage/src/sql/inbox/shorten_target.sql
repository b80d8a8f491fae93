UPDATE inbox SET keep_until = later.keep_until
FROM inbox later JOIN taken t ON t.origin = later.target_origin AND t.record_id = later.target_record
WHERE later.position = $1 AND inbox.position = t.position AND inbox.keep_until > later.keep_until
