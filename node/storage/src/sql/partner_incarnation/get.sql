SELECT incarnation, hello, ours, theirs FROM partner_incarnation WHERE ours = $1 AND theirs = $2
