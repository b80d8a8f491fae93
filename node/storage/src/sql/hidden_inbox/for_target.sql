SELECT arrival, origin, record_id FROM hidden_inbox WHERE target_record = $2 AND target_origin = $1 ORDER BY arrival
