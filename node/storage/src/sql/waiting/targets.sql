SELECT target_origin, target_record FROM waiting
