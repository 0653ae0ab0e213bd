-- Finds what is wrong with jobs, as far as operators should know.

CREATE OR REPLACE FUNCTION tallymark.alert_conditions(
  max_age interval DEFAULT '1 day', most_errors integer DEFAULT 10, errors_within interval DEFAULT '5 minutes',
  never_reported interval DEFAULT '1 hour'
) RETURNS TABLE (job_id text, kind text, facts jsonb)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
  v_now CONSTANT timestamptz := statement_timestamp();
  v_since CONSTANT timestamptz := v_now - coalesce(alert_conditions.max_age, '1 day');
  v_stalled record;
  v_progress jsonb;
BEGIN
  FOR v_stalled IN
    SELECT s.* FROM tallymark.stalled_jobs(never_reported => alert_conditions.never_reported) AS s
    WHERE s.since + s.allowed >= v_since
  LOOP
    SELECT j.progress INTO v_progress FROM tallymark.job AS j WHERE j.id = v_stalled.id;
    alert_conditions.job_id := v_stalled.id;
    alert_conditions.kind := 'stalled';
    alert_conditions.facts := jsonb_build_object('since', tallymark.iso_timestamp(v_stalled.last_update),
      'allowedSeconds', round(extract(epoch FROM v_stalled.allowed)), 'state', v_stalled.state,
      'said', v_progress -> 'message', 'summary', tallymark.progress_summary(v_progress))
      || tallymark.without_nulls(jsonb_build_object('aliveAt', tallymark.iso_timestamp(v_stalled.alive_at),
        'waitUntil', tallymark.iso_timestamp(v_stalled.wait_until), 'reason', v_stalled.reason));
    RETURN NEXT;
  END LOOP;
  RETURN QUERY SELECT s.job_id, s.kind, s.facts FROM tallymark.series_conditions(v_since) AS s;
  RETURN QUERY
  SELECT j.id, 'failed'::text, jsonb_build_object('since', tallymark.iso_timestamp(j.finished_at), 'seq', j.last_seq,
    'said', coalesce(CASE WHEN jsonb_typeof(j.progress -> 'error') = 'string' THEN j.progress -> 'error' END,
      j.progress #> '{error,message}', j.progress -> 'message'),
    'summary', tallymark.progress_summary(j.progress))
  FROM tallymark.job AS j
  -- By our clock; the crawler's clock only narrows the search, and may be days behind where updates lay in a spool.
  WHERE j.status = 'failed' AND j.finished_at >= v_since - interval '168 hours' AND j.updated_at >= v_since
  UNION ALL
  SELECT j.id, 'shortfall', jsonb_build_object('since', tallymark.iso_timestamp(j.finished_at), 'seq', j.last_seq,
    'shortfall', tallymark.progress_shortfall(j.status, j.progress), 'said', j.progress -> 'message',
    'summary', tallymark.progress_summary(j.progress))
  FROM tallymark.job AS j
  WHERE j.status = 'finished' AND j.finished_at >= v_since - interval '168 hours' AND j.updated_at >= v_since
    AND j.progress ?| '{totalsByType,foundByType}' -- as few jobs have; the others are not computed
    AND tallymark.progress_shortfall(j.status, j.progress) IS NOT NULL
  UNION ALL
  SELECT j.id, 'credentials', jsonb_build_object('since', tallymark.iso_timestamp(j.newest_at), 'status', j.status,
    'said', coalesce(j.progress #>> '{credentialStatus,message}', j.progress ->> 'message'),
    'guidance', tallymark.credential_guidance(j.status, j.progress -> 'credentialStatus') -> 0)
  FROM tallymark.job AS j
  WHERE j.status IN ('credential_expired', 'waiting_credential_renewal') AND j.updated_at >= v_since
  UNION ALL
  SELECT b.job_id, 'errors', jsonb_build_object('since', tallymark.iso_timestamp(b.first_at), 'errors', b.errors,
    'withinSeconds', round(extract(epoch FROM alert_conditions.errors_within)),
    'said', coalesce(CASE WHEN jsonb_typeof(l.payload -> 'error') = 'string' THEN l.payload -> 'error' END,
      l.payload #> '{error,message}', l.payload -> 'message'))
  FROM (
    SELECT e.job_id, count(*) AS errors, min(e.recorded_at) AS first_at, max(e.seq) AS last_seq
    FROM tallymark.job_event AS e
    WHERE e.recorded_at >= v_now - alert_conditions.errors_within AND e.event = 'error' AND e.payload IS NOT NULL
    GROUP BY e.job_id HAVING count(*) >= greatest(alert_conditions.most_errors, 1)
  ) AS b
  JOIN tallymark.job_event AS l ON l.job_id = b.job_id AND l.seq = b.last_seq
  UNION ALL
  SELECT c.job_id, 'mismatch', jsonb_build_object('since', tallymark.iso_timestamp(c.checked_at),
    'difference', c.difference)
  FROM tallymark.job_check AS c
  WHERE NOT c.exact;
END
$$;

COMMENT ON FUNCTION tallymark.alert_conditions(interval, integer, interval, interval) IS
'Finds what is wrong with jobs at this moment. The kinds: stalled (a job is stuck or silent, or was never reported on,
see stalled_jobs); failed; shortfall (it reported completed, and something is left, see progress_shortfall); credentials
(its crawler waits for new ones); errors (most_errors errors or more within errors_within); unusual and missed (see
series_conditions); mismatch (its state differed from its ledger when it was last verified, see
note_verification).
Arguments: max_age: what began longer ago is left out, except a mismatch, null for a day; most_errors: how many errors
are too many; errors_within: the time in which they are counted, up to now; never_reported: as that of stalled_jobs.
Returns: rows of job_id, kind, facts: an object with those members that fit the kind: "since": when it began, "said":
what the crawler said about it, or null, "guidance": what to do about its credentials, "summary", "seq",
"allowedSeconds", "state": stuck, silent or never_reported, "aliveAt", "waitUntil", "reason", "status", "errors",
"withinSeconds", "shortfall": {"type": how many are left}, "difference"; those of unusual and missed are named in
series_conditions.
Callers: tallymark_reader, tallymark_admin.
Cost: that of stalled_jobs and of series_conditions, of reading the events of errors_within, and of looking at the jobs
that ended within max_age.';

REVOKE ALL ON FUNCTION tallymark.alert_conditions(interval, integer, interval, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.alert_conditions(interval, integer, interval, interval)
  TO tallymark_reader, tallymark_admin;
