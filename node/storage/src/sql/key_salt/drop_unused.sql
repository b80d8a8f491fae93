-- The highest slot stays, unused: it is what the next open counts on from, should this one end here.
DELETE FROM salt WHERE slot > $1 AND slot < (SELECT max(slot) FROM salt)
