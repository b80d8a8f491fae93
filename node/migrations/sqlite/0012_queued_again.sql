-- Queueing again goes in pieces. Numbers of a stream lie behind `base` in `delivery.number`, so that those of another numbering
-- stay apart; deliveries after `again_after` up to `again_upto` wait for their new numbers; 0: none does.
ALTER TABLE out_stream ADD COLUMN base INTEGER NOT NULL DEFAULT 0;
ALTER TABLE out_stream ADD COLUMN again_after INTEGER NOT NULL DEFAULT 0;
ALTER TABLE out_stream ADD COLUMN again_upto INTEGER NOT NULL DEFAULT 0;
