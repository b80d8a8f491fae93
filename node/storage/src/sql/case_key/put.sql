INSERT INTO case_key (case_index, scope, sealed) VALUES ($1, $2, $3)
