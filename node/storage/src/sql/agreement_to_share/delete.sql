DELETE FROM agreement_to_share WHERE arrival IN (VALUES ($1))
