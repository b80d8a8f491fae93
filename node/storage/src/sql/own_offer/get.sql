SELECT id, body, version, unconfirmed FROM own_offer WHERE id = $1
