DELETE FROM outbox WHERE sequence IN (SELECT d.sequence FROM delivery d WHERE d.stream = $1)
