INSERT INTO agreement (id, signed, complete, end_by, end_at, end_reason, unconfirmed) VALUES ($1, $2, $3, '', 0, 0, $4)
ON CONFLICT (id) DO UPDATE SET
    signed = CASE WHEN agreement.complete = 1 AND excluded.complete = 0 THEN agreement.signed ELSE excluded.signed END,
    complete = CASE WHEN agreement.complete = 1 THEN 1 ELSE excluded.complete END,
    unconfirmed = excluded.unconfirmed
