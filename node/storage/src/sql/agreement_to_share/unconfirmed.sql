SELECT arrival, id, authority, version, sealed, unconfirmed FROM agreement_to_share WHERE unconfirmed = 1 ORDER BY arrival LIMIT $1 + 0
