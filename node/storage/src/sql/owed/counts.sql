SELECT what, COUNT(*), SUM(CASE WHEN attempts > 0 THEN 1 ELSE 0 END), MIN(since), MAX(reason)
FROM owed GROUP BY what ORDER BY what
