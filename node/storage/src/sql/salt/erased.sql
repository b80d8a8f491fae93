SELECT record_id, slot FROM salt WHERE erased = 1 LIMIT $1 + 0
