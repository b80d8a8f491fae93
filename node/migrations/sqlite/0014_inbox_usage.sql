-- How far a received record may go here, by the grant under which it came (the contract's Usage). Before there was this column
-- every grant let the recipient's own systems take what came: 3, STORE.
ALTER TABLE inbox ADD COLUMN usage INTEGER NOT NULL DEFAULT 3;
ALTER TABLE hidden_inbox ADD COLUMN usage INTEGER NOT NULL DEFAULT 3;
