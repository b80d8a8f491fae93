UPDATE data_version SET version = $1 WHERE id = 1
