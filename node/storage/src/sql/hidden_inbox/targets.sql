SELECT target_origin, target_record FROM hidden_inbox
