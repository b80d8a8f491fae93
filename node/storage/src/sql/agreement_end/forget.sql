DELETE FROM agreement_end WHERE agreement IN (SELECT id FROM agreement WHERE id = $1 AND complete = 0)
