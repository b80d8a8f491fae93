SELECT body, invitation, expires, request FROM invitation_request WHERE request = $1
