-- What persons let be shared: each sealed under a key of its own in keys.db, and found by the keyed hash of its case's reference.
CREATE TABLE agreement_to_share (
    arrival INTEGER NOT NULL PRIMARY KEY,
    id BLOB NOT NULL,
    authority TEXT NOT NULL,
    case_index BLOB NOT NULL,
    -- Rises with every event.
    version INTEGER NOT NULL,
    keep_until INTEGER NOT NULL,
    -- A `StoredShare` (9.9).
    sealed BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX agreement_to_share_id ON agreement_to_share (id);
CREATE INDEX agreement_to_share_case ON agreement_to_share (case_index);
CREATE INDEX agreement_to_share_keep ON agreement_to_share (keep_until);
