SELECT DISTINCT recipient FROM owed WHERE what = $1 AND due <= $2 ORDER BY recipient
