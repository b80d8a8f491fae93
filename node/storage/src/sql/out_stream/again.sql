SELECT origin, recipient, class FROM out_stream WHERE again_upto > 0 ORDER BY origin, recipient, class
