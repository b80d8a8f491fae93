-- A partner's offer goes when the record that brought it does. What was received before this says no end of its own: a
-- capacity statement lives 24 hours.
ALTER TABLE partner_offer ADD COLUMN keep_until INTEGER NOT NULL DEFAULT 0;
UPDATE partner_offer SET keep_until = received + 86400000;
CREATE INDEX partner_offer_keep ON partner_offer (keep_until);
