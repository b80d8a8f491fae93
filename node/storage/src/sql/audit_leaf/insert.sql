INSERT INTO audit_leaf (place, leaf) VALUES ($1, $2)
