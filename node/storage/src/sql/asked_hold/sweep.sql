DELETE FROM asked_hold WHERE id IN (
    SELECT id FROM asked_hold WHERE keep_until <= $1 ORDER BY keep_until LIMIT $2 + 0
)
