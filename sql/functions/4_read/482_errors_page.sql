-- Gives the grouped errors of all jobs as one JSON document, as HTTP answers it.

CREATE OR REPLACE FUNCTION tallymark.errors_page(
  since timestamptz DEFAULT NULL, max_groups integer DEFAULT 100, id_prefix text DEFAULT NULL
) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_now CONSTANT timestamptz := statement_timestamp();
  v_since CONSTANT timestamptz := coalesce(errors_page.since, v_now - interval '24 hours');
BEGIN
  RETURN (
    SELECT jsonb_build_object('since', tallymark.iso_timestamp(v_since), 'until', tallymark.iso_timestamp(v_now),
      'errors', coalesce(jsonb_agg(jsonb_build_object('type', g.type, 'message', g.message,
      'count', g.errors, 'jobs', g.jobs, 'firstSeen', tallymark.iso_timestamp(g.first_seen),
      'lastSeen', tallymark.iso_timestamp(g.last_seen),
      'trend', g.trend, 'sample', jsonb_build_object('taskId', g.sample_job, 'seq', g.sample_seq, 'message', g.sample))
      ORDER BY g.number), '[]'))
    FROM tallymark.error_groups(v_since, errors_page.max_groups, errors_page.id_prefix)
      WITH ORDINALITY AS g (type, message, errors, jobs, first_seen, last_seen, sample_job, sample_seq, sample,
        trend, number));
END
$$;

COMMENT ON FUNCTION tallymark.errors_page(timestamptz, integer, text) IS
'Gives error_groups as one JSON document.
Arguments: as those of error_groups.
Returns: {"since", "until", "errors": [{"type", "message", "count", "jobs", "firstSeen", "lastSeen", "trend": [24
numbers, the oldest first], "sample": {"taskId", "seq", "message"}}]}.
Callers: tallymark_reader, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.errors_page(timestamptz, integer, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.errors_page(timestamptz, integer, text) TO tallymark_reader, tallymark_admin;
