UPDATE own_offer SET unconfirmed = 1
