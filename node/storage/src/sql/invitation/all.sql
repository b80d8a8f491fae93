SELECT id, held FROM invitation ORDER BY id
