UPDATE taken SET position = $3 WHERE origin = $1 AND record_id = $2
