SELECT offer, version, body FROM offer_slots WHERE offer = $1
