SELECT recipient, held, CAST(sum(next - first_unsettled) AS BIGINT) AS open_items
FROM out_stream WHERE first_unsettled < next GROUP BY recipient, held ORDER BY recipient
