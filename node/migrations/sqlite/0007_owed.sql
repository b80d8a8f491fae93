-- What the stored bytes and rows mean, apart from the tables: raised with each format that changes (sqlite/data_version.rs).
CREATE TABLE data_version (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL
) STRICT;
INSERT INTO data_version (id, version) VALUES (1, 1);

-- What must still happen: written with the act that causes it, gone with the act that fulfils it.
CREATE TABLE owed (
    -- `owed::What`.
    what INTEGER NOT NULL,
    -- Whom it is for; empty: nobody in particular.
    recipient TEXT NOT NULL,
    subject TEXT NOT NULL,
    since INTEGER NOT NULL,
    -- Not looked at before.
    due INTEGER NOT NULL,
    -- Times it could not be done, and why it could not the last time.
    attempts INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (what, recipient, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX owed_since ON owed (what, recipient, since, subject);

-- Invitations of this node: encoded `joining::Held`.
CREATE TABLE invitation (
    id BLOB NOT NULL PRIMARY KEY,
    held BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Which invitation a request id led to (9.3).
CREATE TABLE invitation_request (
    request BLOB NOT NULL PRIMARY KEY,
    body BLOB NOT NULL,
    invitation BLOB NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX invitation_request_expires ON invitation_request (expires);

-- The incarnation that a partner told to an authority of this node (9.10).
CREATE TABLE partner_incarnation (
    ours TEXT NOT NULL,
    theirs TEXT NOT NULL,
    incarnation INTEGER NOT NULL,
    PRIMARY KEY (ours, theirs)
) STRICT, WITHOUT ROWID;

-- What is received and not shown yet is the hidden part of the inbox.
ALTER TABLE waiting RENAME TO hidden_inbox;
DROP INDEX waiting_target;
DROP INDEX waiting_keep;
CREATE INDEX hidden_inbox_target ON hidden_inbox (target_record, target_origin);
CREATE INDEX hidden_inbox_keep ON hidden_inbox (keep_until);
