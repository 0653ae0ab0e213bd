-- Judges the silence of one job: the one definition of waiting, working, stuck and silent.

CREATE OR REPLACE FUNCTION tallymark.job_silence(
  job tallymark.job, as_of timestamptz DEFAULT NULL, factor numeric DEFAULT 3,
  least_silence interval DEFAULT '1 minute', unknown_habit interval DEFAULT '15 minutes',
  never_reported interval DEFAULT '1 hour'
) RETURNS TABLE (
  state text, last_update timestamptz, since timestamptz, allowed interval, long_gap interval, wait_until timestamptz
)
LANGUAGE plpgsql STABLE ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_alive CONSTANT interval := '2 minutes'; -- the client gives a sign of life every 30 s
  v_now CONSTANT timestamptz := coalesce(job_silence.as_of, statement_timestamp());
  v_habit record;
BEGIN
  IF job.status = 'queued' THEN
    job_silence.allowed := coalesce(job_silence.never_reported, '1 hour');
    job_silence.last_update := job.updated_at;
    job_silence.since := job.created_at;
    job_silence.state := CASE WHEN job_silence.allowed > '0' AND v_now - job_silence.since > job_silence.allowed
      THEN 'never_reported' ELSE 'queued' END;
    RETURN NEXT;
  ELSIF job.status IN ('running', 'waiting') THEN
    SELECT f.long_gap, f.last_update INTO v_habit FROM tallymark.update_frequency(job.id, 50) AS f;
    job_silence.long_gap := v_habit.long_gap;
    job_silence.allowed := greatest(job_silence.least_silence, coalesce(
      v_habit.long_gap * job_silence.factor::double precision, job_silence.unknown_habit));
    job_silence.last_update := coalesce(v_habit.last_update, job.updated_at); -- all updates may have been pruned
    job_silence.wait_until := tallymark.parse_timestamp(tallymark.current_wait(job) ->> 'until');
    job_silence.since := greatest(job_silence.last_update, job_silence.wait_until);
    job_silence.state := CASE
      WHEN v_now - job_silence.since <= job_silence.allowed
        THEN CASE job.status WHEN 'waiting' THEN 'waiting' ELSE 'working' END
      WHEN job.alive_at > v_now - c_alive THEN 'stuck'
      ELSE 'silent' END;
    RETURN NEXT;
  END IF;
END
$$;

COMMENT ON FUNCTION tallymark.job_silence(tallymark.job, timestamptz, numeric, interval, interval, interval) IS
'Judges the silence of one job.
Arguments: job: a row of tallymark.job; as_of: the moment for which to judge, null for now; the others: as those of
stalled_jobs.
Returns: one row for a job that is running, waiting or queued, none for any other, which may be silent. state: working
(updates come as usual), waiting (it waits, and the end that it gave has not passed by the usual allowance), stuck
(signs of life come, the last one less than 2 minutes ago, and updates do not), silent (neither comes), queued, or
never_reported; last_update, by the server''s clock; since: from when on its silence counts, which is the end of a wait
where that is later; allowed: how long the silence may last; long_gap: as that of update_frequency; wait_until: the end
of its wait, where its crawler gave one.';

REVOKE ALL ON FUNCTION tallymark.job_silence(tallymark.job, timestamptz, numeric, interval, interval, interval)
  FROM PUBLIC;
