-- Gives the busiest jobs as one JSON document, as HTTP answers it.

CREATE OR REPLACE FUNCTION tallymark.busiest_page(max_jobs integer DEFAULT 20, id_prefix text DEFAULT NULL)
RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN (
    SELECT jsonb_build_object('jobs', coalesce(jsonb_agg(jsonb_build_object('id', b.id, 'perMinute', b.per_minute,
      'medianGapSeconds', round(extract(epoch FROM b.median_gap), 3),
      'longGapSeconds', round(extract(epoch FROM b.long_gap), 3),
      'lastUpdateAt', tallymark.iso_timestamp(b.last_update)) ORDER BY b.number), '[]'))
    FROM tallymark.busiest_jobs(busiest_page.max_jobs, busiest_page.id_prefix)
      WITH ORDINALITY AS b (id, per_minute, median_gap, long_gap, last_update, number));
END
$$;

COMMENT ON FUNCTION tallymark.busiest_page(integer, text) IS
'Gives busiest_jobs as one JSON document.
Arguments: as those of busiest_jobs.
Returns: {"jobs": [{"id", "perMinute", "medianGapSeconds", "longGapSeconds", "lastUpdateAt"}]}, the most frequently
reported first.
Callers: tallymark_reader, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.busiest_page(integer, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.busiest_page(integer, text) TO tallymark_reader, tallymark_admin;
