INSERT INTO case_index_key (id, sealed) VALUES (1, $1)
