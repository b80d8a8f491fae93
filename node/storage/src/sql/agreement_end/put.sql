INSERT INTO agreement_end (agreement, party, at, reason, notice) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (agreement, party) DO NOTHING
