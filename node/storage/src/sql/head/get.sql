SELECT publication, delivery, position, slot, audit_size, audit_root, audit_frontier, audit_time FROM head WHERE id = 1
