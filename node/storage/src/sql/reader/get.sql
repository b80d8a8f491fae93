SELECT position FROM reader WHERE consumer = $1
