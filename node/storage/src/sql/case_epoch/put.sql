INSERT INTO case_epoch (case_index, scope, partner_code, sealed) VALUES ($1, $2, $3, $4)
ON CONFLICT (case_index, scope, partner_code) DO UPDATE SET sealed = excluded.sealed
