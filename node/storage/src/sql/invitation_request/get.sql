SELECT body, invitation, expires FROM invitation_request WHERE request = $1
