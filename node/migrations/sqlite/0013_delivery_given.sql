-- When the recipient acknowledged what is queued again, since it lost that to an older backup; 0: never. What may not be sent a second
-- time stays delivered.
ALTER TABLE delivery ADD COLUMN given INTEGER NOT NULL DEFAULT 0;
