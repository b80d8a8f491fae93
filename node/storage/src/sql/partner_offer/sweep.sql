DELETE FROM partner_offer WHERE (origin, id) IN (
    SELECT origin, id FROM partner_offer WHERE keep_until <= $1 ORDER BY keep_until LIMIT $2 + 0
)
