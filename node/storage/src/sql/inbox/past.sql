SELECT position, record_id, origin, kind FROM inbox WHERE keep_until <= $1 ORDER BY keep_until LIMIT $2 + 0
