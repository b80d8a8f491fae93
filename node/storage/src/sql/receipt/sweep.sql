DELETE FROM receipt WHERE id IN (SELECT id FROM receipt WHERE at <= $1 ORDER BY at LIMIT $2 + 0)
