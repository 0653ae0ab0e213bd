-- Gives the stalled jobs as one JSON document, as HTTP answers it.

CREATE OR REPLACE FUNCTION tallymark.stalled_page(
  id_prefix text DEFAULT NULL, max_jobs integer DEFAULT 1000, never_reported interval DEFAULT '1 hour'
) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN (
    SELECT jsonb_build_object('jobs', coalesce(jsonb_agg(jsonb_build_object('id', s.id, 'state', s.state,
      'lastUpdateAt', tallymark.iso_timestamp(s.last_update), 'silentSeconds', round(extract(epoch FROM s.silent), 3),
      'allowedSeconds', round(extract(epoch FROM s.allowed), 3), 'since', tallymark.iso_timestamp(s.since),
      'aliveAt', tallymark.iso_timestamp(s.alive_at), 'waitUntil', tallymark.iso_timestamp(s.wait_until),
      'reason', s.reason) ORDER BY s.place), '[]'))
    FROM tallymark.stalled_jobs(id_prefix => stalled_page.id_prefix, max_jobs => stalled_page.max_jobs,
        never_reported => stalled_page.never_reported)
      WITH ORDINALITY AS s (id, last_update, silent, allowed, long_gap, state, since, alive_at, wait_until, reason, place));
END
$$;

COMMENT ON FUNCTION tallymark.stalled_page(text, integer, interval) IS
'Gives stalled_jobs, with its defaults, as one JSON document.
Arguments: id_prefix, max_jobs, never_reported: as those of stalled_jobs.
Returns: {"jobs": [{"id", "state": stuck, silent or never_reported, "lastUpdateAt", "silentSeconds", "allowedSeconds",
"since", "aliveAt", "waitUntil", "reason"}]}, in the order of stalled_jobs.
Callers: tallymark_reader, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.stalled_page(text, integer, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.stalled_page(text, integer, interval) TO tallymark_reader, tallymark_admin;
