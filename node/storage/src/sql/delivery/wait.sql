UPDATE delivery SET waiting_since = $3 WHERE stream = $1 AND open = 1 AND number = $2 AND waiting_since = 0
