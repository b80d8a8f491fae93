-- What its publisher said of an own record later: updates, replacements, cancellations; and the answers to a received one.
CREATE INDEX publication_target ON publication (target_record, target_origin) WHERE target_origin <> '';
