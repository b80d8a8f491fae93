SELECT sequence, body FROM publication WHERE sequence > $1 ORDER BY sequence LIMIT $2 + 0
