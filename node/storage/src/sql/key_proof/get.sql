SELECT sealed FROM proof WHERE id = 1
