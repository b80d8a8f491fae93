SELECT next, receipt, origin, recipient, class FROM in_stream
WHERE origin = $1 AND recipient = $2 AND class = $3 AND origin_incarnation = $4 AND recipient_incarnation = $5
