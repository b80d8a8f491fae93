SELECT sealed FROM case_index_key WHERE id = 1
