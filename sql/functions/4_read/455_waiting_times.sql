-- Adds up how long a job has waited, by reason.

CREATE OR REPLACE FUNCTION tallymark.waiting_times(job_id text, as_of timestamptz DEFAULT NULL)
RETURNS TABLE (reason text, waits bigint, seconds numeric, last_at timestamptz, is_current boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_now CONSTANT timestamptz := coalesce(waiting_times.as_of, statement_timestamp());
  v_sums CONSTANT jsonb := (
    SELECT b.state #> '{waits,sums}' FROM tallymark.job_baseline AS b WHERE b.job_id = waiting_times.job_id);
BEGIN
  IF NOT EXISTS (SELECT 1 FROM tallymark.job AS j WHERE j.id = waiting_times.job_id) THEN
    PERFORM tallymark.refuse_unknown_job(waiting_times.job_id);
  END IF;
  RETURN QUERY
  SELECT w.reason, sum(w.waits)::bigint, round(sum(w.seconds), 3), max(w.last_at), bool_or(w.is_current)
  FROM (
    SELECT s.reason, 1 AS waits, greatest(extract(epoch FROM coalesce(s.to_at, v_now) - s.from_at), 0) AS seconds,
      s.from_at AS last_at, s.to_at IS NULL AS is_current
    FROM tallymark.wait_spans(waiting_times.job_id) AS s
    UNION ALL
    SELECT o.value ->> 0, (o.value ->> 1)::bigint, (o.value ->> 2)::numeric / 1000000, (o.value ->> 3)::timestamptz, false
    FROM jsonb_array_elements(v_sums) AS o
  ) AS w
  GROUP BY w.reason
  ORDER BY 3 DESC, w.reason;
END
$$;

COMMENT ON FUNCTION tallymark.waiting_times(text, timestamptz) IS
'Tells how long a job has waited, by reason. A wait lasts from an update with the status waiting to the next update from
any worker, by the crawlers'' clocks. So while one worker waits and another works, the job works. The sums follow from the
set of the updates, not from their order. prune_job keeps them, with two limits. A late update shortens only the newest
1000 of the pruned waits. A wait that is reported after later updates were pruned counts as no time, unless it lies
within a pruned wait.
Arguments: job_id: a registered job; as_of: up to when a wait that goes on counts, null for now.
Returns: a row for each reason, the longest first: reason (null where none was given); waits (how many updates reported
it); seconds (with milliseconds); last_at (when the last one began); is_current (whether the job waits for it now).
Errors: TK404 where there is no such job; TK400 where job_id is null, empty or too long.
Callers: tallymark_reader, tallymark_admin.
Cost: reads the job''s ledger, where the job ever waited; otherwise some lookups.';

REVOKE ALL ON FUNCTION tallymark.waiting_times(text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.waiting_times(text, timestamptz) TO tallymark_reader, tallymark_admin;
