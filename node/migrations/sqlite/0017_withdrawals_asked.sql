-- Partners that have said, since this node was made or last restored, what of their records was withdrawn, and what of ours they were
-- told is. Nothing about a person that one of them sent is shown without it (9.10).
CREATE TABLE withdrawals_answered (
    ours TEXT NOT NULL,
    partner TEXT NOT NULL,
    -- Until when the line to it is known to have stood.
    contact INTEGER NOT NULL,
    -- 1: it holds a withdrawal of ours of which nothing is known here any more.
    unknown INTEGER NOT NULL,
    PRIMARY KEY (ours, partner)
) STRICT;

-- The signed notice as it came: what a restored origin is shown. Empty where it was not kept.
ALTER TABLE withdrawal ADD COLUMN notice BLOB NOT NULL DEFAULT x'';
CREATE INDEX withdrawal_counter ON withdrawal (origin, recipient, counter);

-- 1: since a restore nobody has confirmed it; it may have been withdrawn after the backup was made.
ALTER TABLE agreement_to_share ADD COLUMN unconfirmed INTEGER NOT NULL DEFAULT 0;

-- 1: what its record said is erased; the next sweep destroys the salt, by which lines of the ledger were bound to the record.
ALTER TABLE salt ADD COLUMN erased INTEGER NOT NULL DEFAULT 0;
CREATE INDEX salt_erased ON salt (erased) WHERE erased = 1;
CREATE INDEX disclosure_past ON disclosure (erase_by);
