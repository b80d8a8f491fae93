-- What the one question is asked by again before each attempt, so that the envelope is bytes to send and nothing else. The data
-- version's step fills them for what waits; a key_id that stays empty is an envelope that does not read.
ALTER TABLE delivery ADD COLUMN purpose INTEGER NOT NULL DEFAULT 0;
ALTER TABLE delivery ADD COLUMN tlp INTEGER NOT NULL DEFAULT 0;
ALTER TABLE delivery ADD COLUMN pap INTEGER NOT NULL DEFAULT 0;
ALTER TABLE delivery ADD COLUMN created INTEGER NOT NULL DEFAULT 0;
ALTER TABLE delivery ADD COLUMN facet INTEGER NOT NULL DEFAULT 0;
ALTER TABLE delivery ADD COLUMN facet_more INTEGER NOT NULL DEFAULT 0;
ALTER TABLE delivery ADD COLUMN key_id BLOB NOT NULL DEFAULT x'';
