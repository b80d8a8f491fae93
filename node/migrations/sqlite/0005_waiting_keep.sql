-- What waits for its target goes when its retention ends, as what is shown does.
CREATE INDEX waiting_keep ON waiting (keep_until);
