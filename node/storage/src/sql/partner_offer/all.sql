SELECT origin, id, version, age_at_sending, received, keep_until, view FROM partner_offer ORDER BY origin, id
