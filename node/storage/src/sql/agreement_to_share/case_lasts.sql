SELECT arrival FROM agreement_to_share WHERE case_index = $1 AND keep_until > $2 LIMIT 1
