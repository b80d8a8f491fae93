SELECT coalesce(max(counter), 0) FROM disclosure WHERE authority = $1 AND recipient = $2
