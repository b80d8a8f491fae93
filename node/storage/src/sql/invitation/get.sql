SELECT held FROM invitation WHERE id = $1
