-- Gives the stalled jobs as one JSON document, as HTTP answers it.

CREATE OR REPLACE FUNCTION tallymark.stalled_page(id_prefix text DEFAULT NULL, max_jobs integer DEFAULT 1000)
RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN (
    SELECT jsonb_build_object('jobs', coalesce(jsonb_agg(jsonb_build_object('id', s.id,
      'lastUpdateAt', tallymark.iso_timestamp(s.last_update), 'silentSeconds', round(extract(epoch FROM s.silent), 3),
      'allowedSeconds', round(extract(epoch FROM s.allowed), 3)) ORDER BY s.last_update, s.id), '[]'))
    FROM tallymark.stalled_jobs(id_prefix => stalled_page.id_prefix, max_jobs => stalled_page.max_jobs) AS s);
END
$$;

COMMENT ON FUNCTION tallymark.stalled_page(text, integer) IS
'Gives stalled_jobs, with its defaults, as one JSON document.
Arguments: id_prefix, max_jobs: as those of stalled_jobs.
Returns: {"jobs": [{"id", "lastUpdateAt", "silentSeconds", "allowedSeconds"}]}, the longest silent first.
Callers: tallymark_reader, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.stalled_page(text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.stalled_page(text, integer) TO tallymark_reader, tallymark_admin;
