-- The number of the grant in delivery.agreement: an answer needs the grant under which its target was sent. -1: not kept,
-- for control and for what was queued before this.
ALTER TABLE delivery ADD COLUMN grant_number INTEGER NOT NULL DEFAULT -1;
