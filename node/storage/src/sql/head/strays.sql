SELECT (SELECT count(*) FROM audit_leaf WHERE place < 0) + (SELECT count(*) FROM audit_leaf WHERE place >= head.audit_size)
    + (SELECT count(*) FROM audit_checkpoint WHERE size < 1) + (SELECT count(*) FROM audit_checkpoint WHERE size > head.audit_size)
FROM head WHERE id = 1
