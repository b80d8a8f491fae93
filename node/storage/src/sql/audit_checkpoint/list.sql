SELECT size, signed FROM audit_checkpoint WHERE size > $1 ORDER BY size LIMIT $2 + 0
