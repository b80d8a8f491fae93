SELECT id, body, version, unconfirmed FROM own_offer ORDER BY id
