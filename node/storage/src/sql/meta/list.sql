SELECT name, value FROM meta WHERE name >= $1 AND name < $2 ORDER BY name
