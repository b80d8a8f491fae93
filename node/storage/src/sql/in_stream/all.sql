SELECT origin, recipient, class, origin_incarnation, recipient_incarnation, next FROM in_stream
