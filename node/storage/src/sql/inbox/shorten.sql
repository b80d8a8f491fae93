UPDATE inbox SET keep_until = $3
WHERE position = (SELECT t.position FROM taken t WHERE t.origin = $1 AND t.record_id = $2) AND keep_until > $3
