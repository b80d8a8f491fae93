SELECT origin, id, version, age_at_sending, received, view FROM partner_offer ORDER BY origin, id
