INSERT INTO audit_checkpoint (size, signed) VALUES ($1, $2) ON CONFLICT (size) DO UPDATE SET signed = excluded.signed
