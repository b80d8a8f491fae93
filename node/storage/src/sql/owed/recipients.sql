SELECT DISTINCT recipient FROM owed WHERE what = $1 AND (due <= $2 OR (due > $2 + 3600000 AND (attempts > 0 OR since > $2))) ORDER BY recipient
