UPDATE delivery SET purpose = $2, tlp = $3, pap = $4, created = $5, facet = $6, facet_more = $7, key_id = $8 WHERE sequence = $1
