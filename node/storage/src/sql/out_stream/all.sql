SELECT id, origin, recipient, class, origin_incarnation, recipient_incarnation, first_unsettled, next, held, attempts, reason, next_attempt,
    base, again_after, again_upto
FROM out_stream ORDER BY id
