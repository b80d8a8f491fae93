-- What was shared about a person, at its origin: with whom, under which agreement to share, and what came of its withdrawal.
CREATE TABLE disclosure (
    authority TEXT NOT NULL,
    record_id BLOB NOT NULL,
    recipient TEXT NOT NULL,
    kind INTEGER NOT NULL,
    scope INTEGER NOT NULL,
    purpose INTEGER NOT NULL,
    case_index BLOB NOT NULL,
    share BLOB NOT NULL,
    shared_at INTEGER NOT NULL,
    erase_by INTEGER NOT NULL,
    -- One of `DisclosureState`.
    state INTEGER NOT NULL,
    -- Of its notice, counted for each origin and recipient; 0: none.
    counter INTEGER NOT NULL,
    noticed_at INTEGER NOT NULL,
    due_by INTEGER NOT NULL,
    answered_at INTEGER NOT NULL,
    -- Encoded `Signed` with the envelope of the answer; empty: none.
    receipt BLOB NOT NULL,
    PRIMARY KEY (authority, record_id)
) STRICT;
CREATE INDEX disclosure_case ON disclosure (case_index);
CREATE INDEX disclosure_state ON disclosure (state, recipient);
CREATE INDEX disclosure_counter ON disclosure (authority, recipient, counter);

-- Partners' notices of withdrawal. What they name is gone here, and is not taken again.
CREATE TABLE withdrawal (
    origin TEXT NOT NULL,
    record_id BLOB NOT NULL,
    recipient TEXT NOT NULL,
    counter INTEGER NOT NULL,
    received INTEGER NOT NULL,
    due_by INTEGER NOT NULL,
    -- 0: not done yet.
    done_at INTEGER NOT NULL,
    PRIMARY KEY (origin, record_id)
) STRICT;
