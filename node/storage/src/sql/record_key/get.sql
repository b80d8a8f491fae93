SELECT sealed FROM record_key WHERE origin = $1 AND record_id = $2
