SELECT (SELECT count(*) FROM publication), (SELECT count(*) FROM delivery), (SELECT count(*) FROM inbox),
    (SELECT count(*) FROM agreement), (SELECT count(*) FROM audit_leaf)
