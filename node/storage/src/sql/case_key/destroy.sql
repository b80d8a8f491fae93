DELETE FROM case_key WHERE case_index = $1
