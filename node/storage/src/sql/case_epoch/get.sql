SELECT sealed FROM case_epoch WHERE case_index = $1 AND scope = $2 AND partner_code = $3
