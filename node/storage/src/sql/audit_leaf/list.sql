SELECT place, leaf FROM audit_leaf WHERE place >= $1 AND place < $1 + $2 ORDER BY place
