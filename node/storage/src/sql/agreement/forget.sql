DELETE FROM agreement WHERE id = $1 AND complete = 0
