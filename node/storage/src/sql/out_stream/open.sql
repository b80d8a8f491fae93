SELECT origin, recipient, class, origin_incarnation, recipient_incarnation, first_unsettled, next
FROM out_stream WHERE first_unsettled < next AND held = 0 ORDER BY origin, recipient, class
