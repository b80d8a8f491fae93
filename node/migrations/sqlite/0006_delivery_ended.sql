-- What was refused, quarantined, skipped, expired or closed is little, and asked for by itself. What waits or was delivered
-- is the mass, and is left out: its way to the disk stays as it is.
CREATE INDEX delivery_ended ON delivery (state, sequence) WHERE state > 2;
