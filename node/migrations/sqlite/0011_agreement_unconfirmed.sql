-- 1: since a restore nobody has confirmed it; it may have been ended after the backup was made, and covers nothing until then.
ALTER TABLE agreement ADD COLUMN unconfirmed INTEGER NOT NULL DEFAULT 0;
