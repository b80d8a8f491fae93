SELECT coalesce(max(counter), 0) FROM withdrawal WHERE origin = $1 AND recipient = $2
