-- Tells whether a job works, waits, is stuck or is silent, as one JSON document, as HTTP answers it.

CREATE OR REPLACE FUNCTION tallymark.job_liveness(job_id text, never_reported interval DEFAULT '1 hour') RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_job tallymark.job;
  v_silence record;
  v_waits jsonb;
BEGIN
  SELECT j.* INTO v_job FROM tallymark.job AS j WHERE j.id = job_liveness.job_id;
  IF NOT FOUND THEN
    PERFORM tallymark.refuse_unknown_job(job_liveness.job_id);
  END IF;
  SELECT s.* INTO v_silence
  FROM tallymark.job_silence(v_job, never_reported => job_liveness.never_reported) AS s;
  SELECT jsonb_build_object('seconds', coalesce(sum(w.seconds), 0), 'reasons', coalesce(jsonb_agg(jsonb_build_object(
      'reason', w.reason, 'waits', w.waits, 'seconds', w.seconds, 'lastAt', tallymark.iso_timestamp(w.last_at),
      'current', w.is_current) ORDER BY w.seconds DESC, w.reason), '[]'))
  INTO v_waits FROM tallymark.waiting_times(v_job.id) AS w;
  RETURN jsonb_build_object('id', v_job.id, 'status', v_job.status, 'state', v_silence.state,
    'lastUpdateAt', CASE WHEN v_job.status <> 'queued' THEN tallymark.iso_timestamp(v_job.updated_at) END,
    'aliveAt', tallymark.iso_timestamp(v_job.alive_at), 'since', tallymark.iso_timestamp(v_silence.since),
    'allowedSeconds', round(extract(epoch FROM v_silence.allowed), 3),
    'waitUntil', tallymark.iso_timestamp(v_silence.wait_until),
    'reason', tallymark.current_wait(v_job) -> 'reason', 'waited', v_waits);
END
$$;

COMMENT ON FUNCTION tallymark.job_liveness(text, interval) IS
'Tells whether a job works, waits, is stuck or is silent, and how long it has waited in all.
Arguments: job_id: a registered job; never_reported: as that of stalled_jobs.
Returns: {"id", "status", "state": working, waiting, stuck, silent, queued or never_reported (see job_silence), null for
a job that may be silent, "lastUpdateAt" and "aliveAt": when the last update and the last sign of life came, by the
server''s clock, "since": from when on its silence counts, "allowedSeconds": how long it may last, "waitUntil" and
"reason": those of the wait that it is in, "waited": {"seconds", "reasons": [{"reason", "waits", "seconds", "lastAt",
"current"}]} (see waiting_times)}. What is not known is null.
Errors: TK404 where there is no such job; TK400 where job_id is null, empty or too long.
Callers: tallymark_reader, tallymark_admin.
Cost: that of update_frequency for 50 updates, and of waiting_times.';

REVOKE ALL ON FUNCTION tallymark.job_liveness(text, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.job_liveness(text, interval) TO tallymark_reader, tallymark_admin;
