-- Pairwise pseudonyms (9.16). No row names a case or a partner: both are found by keyed hashes, and each value is sealed
-- under the node key.

-- One row: the key of those hashes.
CREATE TABLE case_index_key (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    sealed BLOB NOT NULL
) STRICT;

-- The key of a case, one for each scope.
CREATE TABLE case_key (
    case_index BLOB NOT NULL,
    scope INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (case_index, scope)
) STRICT, WITHOUT ROWID;

-- Which epoch a partner's pseudonym of a case is in.
CREATE TABLE case_epoch (
    case_index BLOB NOT NULL,
    scope INTEGER NOT NULL,
    partner_code BLOB NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (case_index, scope, partner_code)
) STRICT, WITHOUT ROWID;
