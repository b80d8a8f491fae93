SELECT ours, partner, contact, unknown FROM withdrawals_answered ORDER BY ours, partner
