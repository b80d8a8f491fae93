DELETE FROM hidden_inbox
WHERE origin = $1 AND record_id = $2 OR target_origin = $1 AND target_record = $2
