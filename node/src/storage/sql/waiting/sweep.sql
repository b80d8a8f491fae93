DELETE FROM waiting WHERE arrival IN (SELECT arrival FROM waiting WHERE expires <= $1 ORDER BY arrival LIMIT $2 + 0)
