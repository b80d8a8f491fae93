SELECT version FROM agreement_to_share WHERE id = $1
