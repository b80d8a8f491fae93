UPDATE publication SET body = $2 WHERE sequence = $1
