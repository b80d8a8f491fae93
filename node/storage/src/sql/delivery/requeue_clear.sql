UPDATE delivery SET open = 0 WHERE stream = $1 AND open = 1 AND sequence > $2 AND sequence <= $3
