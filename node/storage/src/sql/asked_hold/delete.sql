DELETE FROM asked_hold WHERE id = $1
