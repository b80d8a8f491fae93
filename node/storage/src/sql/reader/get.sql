SELECT position, consumer FROM reader WHERE consumer = $1
