UPDATE agreement SET unconfirmed = 1
