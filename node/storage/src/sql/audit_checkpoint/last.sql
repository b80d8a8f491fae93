SELECT size, signed FROM audit_checkpoint ORDER BY size DESC LIMIT 1
