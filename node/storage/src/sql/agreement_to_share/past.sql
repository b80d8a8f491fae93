SELECT arrival, id, authority, case_index FROM agreement_to_share WHERE keep_until <= $1 ORDER BY keep_until LIMIT $2
