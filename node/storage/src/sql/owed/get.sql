SELECT due FROM owed WHERE what = $1 AND recipient = $2 AND subject = $3
