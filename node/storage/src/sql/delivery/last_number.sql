SELECT COALESCE(max(number), 0) FROM delivery WHERE stream = $1
