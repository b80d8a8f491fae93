SELECT arrival, id, authority, version, sealed, unconfirmed FROM agreement_to_share WHERE case_index = $1 ORDER BY arrival
