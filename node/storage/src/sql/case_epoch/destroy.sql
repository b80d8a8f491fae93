DELETE FROM case_epoch WHERE case_index = $1
