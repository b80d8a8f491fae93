INSERT INTO out_stream (id, origin, recipient, class, origin_incarnation, recipient_incarnation, first_unsettled, next, held, attempts, reason, next_attempt,
    base, again_after, again_upto)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
ON CONFLICT (id) DO UPDATE SET origin_incarnation = excluded.origin_incarnation,
    recipient_incarnation = excluded.recipient_incarnation, first_unsettled = excluded.first_unsettled,
    next = excluded.next, held = excluded.held, attempts = excluded.attempts, reason = excluded.reason,
    next_attempt = excluded.next_attempt, base = excluded.base, again_after = excluded.again_after, again_upto = excluded.again_upto
