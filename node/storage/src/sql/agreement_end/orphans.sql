SELECT arrival FROM agreement_end WHERE NOT EXISTS (SELECT 1 FROM agreement a WHERE a.id = agreement_end.agreement)
