-- keys.db: what must die with a record, each value sealed under the node key (9.9). Never part of a backup of the node.

-- One row: a known value, sealed, that tells whether node.key is the right one.
CREATE TABLE proof (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    sealed BLOB NOT NULL
) STRICT;

-- Commitment salts, made in blocks ahead of need. Which record took a slot is known to the store.
CREATE TABLE salt (
    slot INTEGER NOT NULL PRIMARY KEY,
    sealed BLOB NOT NULL
) STRICT;

-- Keys of records about persons.
CREATE TABLE record_key (
    origin TEXT NOT NULL,
    record_id BLOB NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (origin, record_id)
) STRICT, WITHOUT ROWID;

-- Hashes of erased records' keys: nothing brings them back.
CREATE TABLE tombstone (
    record_hash BLOB NOT NULL PRIMARY KEY,
    erased INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
