SELECT arrival, record_id FROM hidden_inbox WHERE keep_until <= $1 ORDER BY keep_until LIMIT $2 + 0
