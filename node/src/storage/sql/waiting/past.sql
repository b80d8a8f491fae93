SELECT arrival, record_id FROM waiting WHERE expires <= $1 ORDER BY arrival LIMIT $2 + 0
