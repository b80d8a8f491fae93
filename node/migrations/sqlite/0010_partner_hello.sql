-- The signed Hello with which a partner told its incarnation: what a restored partner is shown. Empty where it was not kept.
ALTER TABLE partner_incarnation ADD COLUMN hello BLOB NOT NULL DEFAULT x'';
