-- The node's store. Nothing is NULL: an absent text or blob is empty, an absent instant is 0 (a missing bind would be
-- NULL in SQLite and is refused by this). Instants are Unix ms. Rows that change often are kept small; bytes that never
-- change (publication.body, outbox.envelope, inbox.envelope) stand where no update touches them.

CREATE TABLE meta (
    name TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- The counters and the ledger's head, written once per commit.
CREATE TABLE head (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    publication INTEGER NOT NULL,
    delivery INTEGER NOT NULL,
    position INTEGER NOT NULL,
    -- Highest slot of keys.db that a record's salt was taken from.
    slot INTEGER NOT NULL,
    audit_size INTEGER NOT NULL,
    audit_root BLOB NOT NULL,
    audit_frontier BLOB NOT NULL,
    audit_time INTEGER NOT NULL
) STRICT;
INSERT INTO head (id, publication, delivery, position, slot, audit_size, audit_root, audit_frontier, audit_time)
VALUES (1, 0, 0, 0, 0, 0, x'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', x'', 0);

CREATE TABLE request (
    scope TEXT NOT NULL,
    request_id TEXT NOT NULL,
    body BLOB NOT NULL,
    answer BLOB NOT NULL,
    expires INTEGER NOT NULL,
    PRIMARY KEY (scope, request_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX request_expires ON request (expires);

CREATE TABLE publication (
    sequence INTEGER NOT NULL PRIMARY KEY,
    authority TEXT NOT NULL,
    record_id BLOB NOT NULL,
    kind INTEGER NOT NULL,
    target_origin TEXT NOT NULL,
    target_record BLOB NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX publication_key ON publication (authority, record_id);
CREATE INDEX publication_kind ON publication (kind);
CREATE INDEX publication_expires ON publication (expires);

-- Publications that the dispatcher has not been through yet: a row of its own, so that publication rows never change.
CREATE TABLE undispatched (
    sequence INTEGER NOT NULL PRIMARY KEY REFERENCES publication (sequence)
) STRICT;

CREATE TABLE out_stream (
    id INTEGER NOT NULL PRIMARY KEY,
    origin TEXT NOT NULL,
    recipient TEXT NOT NULL,
    class INTEGER NOT NULL,
    origin_incarnation INTEGER NOT NULL,
    recipient_incarnation INTEGER NOT NULL,
    first_unsettled INTEGER NOT NULL,
    next INTEGER NOT NULL,
    held INTEGER NOT NULL,
    -- How it went since the stream last moved.
    attempts INTEGER NOT NULL,
    reason TEXT NOT NULL,
    next_attempt INTEGER NOT NULL,
    UNIQUE (origin, recipient, class)
) STRICT;

-- Open: it has a number in its stream and no answer yet. States are those of `DeliveryState`; held is the stream's.
CREATE TABLE delivery (
    sequence INTEGER NOT NULL PRIMARY KEY,
    stream INTEGER NOT NULL REFERENCES out_stream (id),
    number INTEGER NOT NULL,
    open INTEGER NOT NULL DEFAULT 1,
    state INTEGER NOT NULL DEFAULT 1,
    record_id BLOB NOT NULL,
    kind INTEGER NOT NULL,
    digest BLOB NOT NULL,
    agreement BLOB NOT NULL,
    skip TEXT NOT NULL DEFAULT '',
    as_of INTEGER NOT NULL,
    traceparent TEXT NOT NULL,
    queued INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    waiting_since INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '',
    finished INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX delivery_open ON delivery (stream, number) WHERE open = 1;
CREATE INDEX delivery_stream ON delivery (stream);
CREATE INDEX delivery_record ON delivery (record_id);
CREATE INDEX delivery_expires ON delivery (expires);

-- What is sent: kept until it expires, because a new incarnation on either side asks for it again.
CREATE TABLE outbox (
    sequence INTEGER NOT NULL PRIMARY KEY REFERENCES delivery (sequence),
    expires INTEGER NOT NULL,
    envelope BLOB NOT NULL
) STRICT;
CREATE INDEX outbox_expires ON outbox (expires);

-- Partners' signed receipts, by batch.
CREATE TABLE receipt (
    id INTEGER NOT NULL PRIMARY KEY,
    stream INTEGER NOT NULL,
    first INTEGER NOT NULL,
    items INTEGER NOT NULL,
    at INTEGER NOT NULL,
    signed BLOB NOT NULL
) STRICT;
CREATE INDEX receipt_at ON receipt (at);

CREATE TABLE in_stream (
    origin TEXT NOT NULL,
    recipient TEXT NOT NULL,
    class INTEGER NOT NULL,
    origin_incarnation INTEGER NOT NULL,
    recipient_incarnation INTEGER NOT NULL,
    next INTEGER NOT NULL,
    receipt BLOB NOT NULL,
    PRIMARY KEY (origin, recipient, class)
) STRICT, WITHOUT ROWID;

CREATE TABLE inbox (
    position INTEGER NOT NULL PRIMARY KEY,
    recipient TEXT NOT NULL,
    origin TEXT NOT NULL,
    record_id BLOB NOT NULL,
    kind INTEGER NOT NULL,
    target_origin TEXT NOT NULL,
    target_record BLOB NOT NULL,
    digest BLOB NOT NULL,
    received INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    keep_until INTEGER NOT NULL,
    traceparent TEXT NOT NULL,
    envelope BLOB NOT NULL
) STRICT;
CREATE INDEX inbox_kind ON inbox (kind);
CREATE INDEX inbox_target ON inbox (target_record, target_origin) WHERE target_origin <> '';
CREATE INDEX inbox_keep ON inbox (keep_until);

-- Received, but hidden until the target arrives: no position yet.
CREATE TABLE waiting (
    arrival INTEGER NOT NULL PRIMARY KEY,
    recipient TEXT NOT NULL,
    origin TEXT NOT NULL,
    record_id BLOB NOT NULL,
    kind INTEGER NOT NULL,
    target_origin TEXT NOT NULL,
    target_record BLOB NOT NULL,
    digest BLOB NOT NULL,
    received INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    keep_until INTEGER NOT NULL,
    traceparent TEXT NOT NULL,
    envelope BLOB NOT NULL
) STRICT;
CREATE INDEX waiting_target ON waiting (target_record, target_origin);

-- Dedup keys, kept 30 days past expiry. Position 0: waiting.
CREATE TABLE taken (
    origin TEXT NOT NULL,
    record_id BLOB NOT NULL,
    position INTEGER NOT NULL,
    forget_at INTEGER NOT NULL,
    PRIMARY KEY (origin, record_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX taken_forget ON taken (forget_at);

CREATE TABLE reader (
    consumer TEXT NOT NULL PRIMARY KEY,
    position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE agreement (
    id BLOB NOT NULL PRIMARY KEY,
    signed BLOB NOT NULL,
    complete INTEGER NOT NULL,
    -- Empty: it has not ended.
    end_by TEXT NOT NULL,
    end_at INTEGER NOT NULL,
    end_reason INTEGER NOT NULL
) STRICT;

CREATE TABLE own_offer (
    id BLOB NOT NULL PRIMARY KEY,
    body BLOB NOT NULL,
    version INTEGER NOT NULL,
    unconfirmed INTEGER NOT NULL
) STRICT;

CREATE TABLE partner_offer (
    origin TEXT NOT NULL,
    id BLOB NOT NULL,
    version INTEGER NOT NULL,
    -- -1: not reported.
    age_at_sending INTEGER NOT NULL,
    received INTEGER NOT NULL,
    view BLOB NOT NULL,
    PRIMARY KEY (origin, id)
) STRICT;

CREATE TABLE audit_leaf (
    place INTEGER NOT NULL PRIMARY KEY,
    leaf BLOB NOT NULL
) STRICT;

CREATE TABLE audit_checkpoint (
    size INTEGER NOT NULL PRIMARY KEY,
    signed BLOB NOT NULL
) STRICT;

-- Which slot of keys.db holds the salt of a record's commitments. The row goes with the record, the salt before it.
CREATE TABLE salt (
    record_id BLOB NOT NULL PRIMARY KEY,
    slot INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
