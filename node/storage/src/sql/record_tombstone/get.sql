SELECT erased FROM tombstone WHERE record_hash = $1
