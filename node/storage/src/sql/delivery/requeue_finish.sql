UPDATE delivery SET open = 0, state = CASE WHEN skip = 'EXPIRED' OR (skip = '' AND expires <= $4) THEN 7 ELSE 5 END,
    reason = CASE WHEN skip <> '' THEN skip WHEN expires <= $4 THEN 'EXPIRED' ELSE 'STORAGE_DAMAGED' END, finished = $4
WHERE stream = $1 AND open = 1 AND sequence > $2 AND sequence <= $3
    AND (skip <> '' OR expires <= $4 OR NOT EXISTS (SELECT 1 FROM outbox o WHERE o.sequence = delivery.sequence))
