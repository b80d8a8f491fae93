INSERT INTO in_stream (origin, recipient, class, origin_incarnation, recipient_incarnation, next, receipt)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (origin, recipient, class) DO UPDATE SET origin_incarnation = excluded.origin_incarnation,
    recipient_incarnation = excluded.recipient_incarnation, next = excluded.next, receipt = excluded.receipt
