SELECT a.id, a.signed, a.complete, coalesce(e.party, ''), coalesce(e.at, 0), coalesce(e.reason, 0), coalesce(e.notice, $1), coalesce(e.arrival, 0), a.unconfirmed
FROM agreement AS a LEFT JOIN agreement_end AS e ON e.agreement = a.id
ORDER BY a.id, e.arrival
