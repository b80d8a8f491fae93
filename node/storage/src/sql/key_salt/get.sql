SELECT sealed FROM salt WHERE slot = $1
