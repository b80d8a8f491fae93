SELECT origin, recipient, class, origin_incarnation, recipient_incarnation, first_unsettled, next
FROM out_stream WHERE origin = $1 AND recipient = $2 AND class = $3
