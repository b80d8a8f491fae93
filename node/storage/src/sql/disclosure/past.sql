SELECT authority, record_id FROM disclosure WHERE erase_by <= $1 AND answered_at <= $1 AND state <> 2 ORDER BY erase_by LIMIT $2 + 0
