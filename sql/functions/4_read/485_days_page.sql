-- Gives the jobs that ended, day by day, as one JSON document, as HTTP answers it.

CREATE OR REPLACE FUNCTION tallymark.days_page(days integer DEFAULT 30, id_prefix text DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN (
    SELECT jsonb_build_object('days', coalesce(jsonb_agg(jsonb_build_object('day', d.day, 'finished', d.finished,
      'failed', d.failed, 'cancelled', d.cancelled, 'items', d.items,
      'medianDurationSeconds', round(extract(epoch FROM d.median_duration), 3), 'successRate', d.success_rate)
      ORDER BY d.day), '[]'))
    FROM tallymark.jobs_per_day(days_page.days, days_page.id_prefix) AS d);
END
$$;

COMMENT ON FUNCTION tallymark.days_page(integer, text) IS
'Gives jobs_per_day as one JSON document.
Arguments: days, id_prefix: as those of jobs_per_day.
Returns: {"days": [{"day", "finished", "failed", "cancelled", "items", "medianDurationSeconds", "successRate"}]}, the
oldest first.
Callers: tallymark_reader, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.days_page(integer, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.days_page(integer, text) TO tallymark_reader, tallymark_admin;
