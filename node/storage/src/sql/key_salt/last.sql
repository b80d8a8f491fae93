SELECT coalesce(max(slot), 0) FROM salt
