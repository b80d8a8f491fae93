-- Units of own offers that are set aside (9.11): the slots of each offer, as one value that is decided upon whole.
CREATE TABLE offer_slots (
    offer BLOB NOT NULL PRIMARY KEY,
    -- Rises with every change.
    version INTEGER NOT NULL,
    -- A `StoredSlots`.
    body BLOB NOT NULL
) STRICT;

-- Units of partners' offers that were asked for here.
CREATE TABLE asked_hold (
    id BLOB NOT NULL PRIMARY KEY,
    ours TEXT NOT NULL,
    owner TEXT NOT NULL,
    offer BLOB NOT NULL,
    asked INTEGER NOT NULL,
    -- One of `HoldState`; 0: the owner has not answered.
    state INTEGER NOT NULL,
    -- 0: the owner has not answered.
    token INTEGER NOT NULL,
    extended INTEGER NOT NULL,
    keep_until INTEGER NOT NULL
) STRICT;
CREATE INDEX asked_hold_keep ON asked_hold (keep_until);
