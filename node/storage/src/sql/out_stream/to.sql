SELECT id FROM out_stream WHERE recipient = $1 ORDER BY id
