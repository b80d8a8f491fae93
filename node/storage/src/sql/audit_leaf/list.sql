SELECT place, leaf FROM audit_leaf WHERE place >= $1 ORDER BY place LIMIT $2 + 0
