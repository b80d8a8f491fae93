SELECT offer, version, body FROM offer_slots ORDER BY offer
