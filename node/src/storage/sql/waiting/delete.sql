DELETE FROM waiting WHERE arrival = $1
