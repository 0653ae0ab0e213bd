-- Groups the errors of all jobs.

CREATE OR REPLACE FUNCTION tallymark.error_groups(
  since timestamptz DEFAULT NULL, max_groups integer DEFAULT 100, id_prefix text DEFAULT NULL
) RETURNS TABLE (
  type text, message text, errors bigint, jobs bigint, first_seen timestamptz, last_seen timestamptz,
  sample_job text, sample_seq bigint, sample text, trend bigint[]
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_parts CONSTANT integer := 24;
  v_now CONSTANT timestamptz := statement_timestamp();
  v_since CONSTANT timestamptz := coalesce(error_groups.since, v_now - interval '24 hours');
  -- Minus infinity cannot be divided into equal parts, and nothing was recorded before the epoch.
  v_begin CONSTANT timestamptz := greatest(v_since, 'epoch');
  v_part CONSTANT numeric := CASE WHEN v_begin < v_now THEN extract(epoch FROM v_now - v_begin) / c_parts END;
  v_parts smallint[];
  v_payload jsonb;
BEGIN
  FOR error_groups.type, error_groups.message, error_groups.errors, error_groups.jobs, error_groups.first_seen,
    error_groups.last_seen, error_groups.sample_job, error_groups.sample_seq, v_parts
  IN
    SELECT f.type, f.message, count(*) AS errors, count(DISTINCT f.job_id) AS jobs,
      min(f.recorded_at) AS first_seen, max(f.recorded_at) AS last_seen,
      -- The newest. Two arrays, because text and number have no common one, and rows no max before PostgreSQL 18.
      (array_agg(f.job_id ORDER BY f.recorded_at DESC, f.job_id, f.seq DESC))[1] AS sample_job,
      (array_agg(f.seq ORDER BY f.recorded_at DESC, f.job_id, f.seq DESC))[1] AS sample_seq,
      -- An error recorded exactly now belongs to the last part.
      array_agg(least(floor(extract(epoch FROM f.recorded_at - v_begin) / v_part), c_parts - 1)::smallint) AS parts
    FROM (
      SELECT x.job_id, x.seq, x.recorded_at, s.details ->> 'errorType' AS type,
        tallymark.normalise_message(coalesce(s.details ->> 'errorMessage', s.details ->> 'message')) AS message
      FROM tallymark.job_event AS x
      CROSS JOIN LATERAL (SELECT tallymark.event_details(x.payload, NULL) AS details OFFSET 0) AS s
      WHERE x.event = 'error' AND x.payload IS NOT NULL AND x.recorded_at >= v_since
        AND (error_groups.id_prefix IS NULL OR starts_with(x.job_id, error_groups.id_prefix))
    ) AS f
    GROUP BY f.type, f.message
    ORDER BY count(*) DESC, max(f.recorded_at) DESC, f.type, f.message
    LIMIT least(greatest(coalesce(error_groups.max_groups, 100), 0), 1000)
  LOOP
    SELECT e.payload INTO v_payload FROM tallymark.job_event AS e
    WHERE e.job_id = error_groups.sample_job AND e.seq = error_groups.sample_seq;
    v_payload := tallymark.event_details(v_payload, NULL);
    error_groups.sample := left(coalesce(v_payload ->> 'errorMessage', v_payload ->> 'message'), 1000);
    error_groups.trend := ARRAY(
      SELECT count(p.part) FROM generate_series(0, c_parts - 1) AS n (part)
      LEFT JOIN unnest(v_parts) AS p (part) ON p.part = n.part GROUP BY n.part ORDER BY n.part);
    RETURN NEXT;
  END LOOP;
END
$$;

COMMENT ON FUNCTION tallymark.error_groups(timestamptz, integer, text) IS
'Groups the errors that crawlers reported by type and normalised message: in the message URLs, UUIDs, quoted texts,
hexadecimal digits and numbers are replaced with <url>, <uuid>, <string>, <hex> and <number>.
Arguments: since: only errors that were recorded at or after this instant, by the server''s clock, null for the last 24
hours; max_groups: how many groups at most, 0 to 1000, null for 100; id_prefix: only jobs whose ids begin with this,
null for all.
Returns: a row for each group, the largest first: type and message (either may be null); errors (how many); jobs (on
how many jobs); first_seen and last_seen (when they were recorded); sample_job, sample_seq and sample (the newest of
them: its job, its event and its message unchanged, at most 1000 characters); trend (how many there were in each of 24
equal parts of the time from since to now, the oldest first).
Callers: tallymark_reader, tallymark_admin.
Cost: reads all errors since then, found by an index (job_event_error_idx).';

REVOKE ALL ON FUNCTION tallymark.error_groups(timestamptz, integer, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.error_groups(timestamptz, integer, text) TO tallymark_reader, tallymark_admin;
