INSERT INTO proof (id, sealed) VALUES (1, $1)
