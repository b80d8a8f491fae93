-- Several parties leave an agreement, each by itself, each once: a row for each, with its signed notice. What
-- agreement.end_by, end_at and end_reason held moves here (a reason of 0 stood for "several"; who else had left was not
-- kept); those three columns are not read any more.
CREATE TABLE agreement_end (
    arrival INTEGER NOT NULL PRIMARY KEY,
    agreement BLOB NOT NULL REFERENCES agreement (id),
    party TEXT NOT NULL,
    at INTEGER NOT NULL,
    reason INTEGER NOT NULL,
    -- Encoded Signed with the envelope; empty: not kept, or nobody could be told.
    notice BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX agreement_end_party ON agreement_end (agreement, party);
INSERT INTO agreement_end (agreement, party, at, reason, notice)
SELECT id, end_by, end_at, CASE end_reason WHEN 0 THEN 1 ELSE end_reason END, x'' FROM agreement WHERE end_by <> '';
