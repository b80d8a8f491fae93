WITH asked (record_id) AS (VALUES ($1))
SELECT s.record_id, s.slot FROM asked JOIN salt s ON s.record_id = asked.record_id
