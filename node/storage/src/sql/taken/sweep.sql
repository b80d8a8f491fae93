DELETE FROM taken WHERE (origin, record_id) IN (
    SELECT origin, record_id FROM taken WHERE forget_at <= $1 ORDER BY forget_at LIMIT $2 + 0
)
