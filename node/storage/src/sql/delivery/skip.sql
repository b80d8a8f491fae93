UPDATE delivery SET skip = $3 WHERE stream = $1 AND open = 1 AND number = $2 AND skip = ''
