SELECT sealed FROM case_key WHERE case_index = $1 AND scope = $2
