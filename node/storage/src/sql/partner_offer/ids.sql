SELECT id FROM partner_offer WHERE origin = $1
