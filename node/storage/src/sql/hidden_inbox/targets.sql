SELECT target_origin, target_record, arrival FROM hidden_inbox
