UPDATE agreement_to_share SET unconfirmed = 1
