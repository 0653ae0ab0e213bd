-- Diagnosis, stalled progress: who reported last, and whether the job has been silent for too long.

CREATE OR REPLACE FUNCTION tallymark.diagnose_progress(job tallymark.job, figures jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_unknown_habit CONSTANT interval := '15 minutes'; -- the default of stalled_jobs
  v_now CONSTANT timestamptz := statement_timestamp();
  v_last tallymark.job_event;
  v_who text;
  v_age text;
  v_silence record;
  v_late text;
  v_habit record;
  v_found jsonb := '[]';
BEGIN
  SELECT e.* INTO v_last FROM tallymark.job_event AS e
  WHERE e.job_id = job.id AND e.seq = (diagnose_progress.figures ->> 'toSeq')::bigint;
  IF v_last.seq IS NULL THEN
    IF job.pruned_seq > 0 THEN
      RETURN tallymark.finding('all_pruned', 'note', 'All its updates were pruned. Its state is kept.', NULL,
        jsonb_build_object('prunedSeq', job.pruned_seq, 'updatedAt', tallymark.iso_timestamp(job.updated_at)));
    END IF;
    v_age := tallymark.duration_text(v_now - job.created_at);
    RETURN tallymark.finding('never_reported',
      CASE WHEN job.created_at < v_now - c_unknown_habit THEN 'warning' ELSE 'note' END,
      format('It was registered %s ago, and no crawler has reported on it yet.', v_age),
      'Check whether its crawler was started with this id as taskId, the right address and a token that may write.',
      jsonb_build_object('createdAt', tallymark.iso_timestamp(job.created_at)));
  END IF;

  v_who := coalesce('worker ' || (v_last.payload ->> 'workerId'), 'a crawler without a workerId');
  v_found := tallymark.finding('last_update', 'ok', format(
      'The last update, number %s, came %s ago from %s with the status %s.',
      v_last.seq, tallymark.duration_text(v_now - v_last.recorded_at), v_who,
      coalesce(v_last.payload ->> 'status', 'processing')
      || coalesce(': ' || left(v_last.payload ->> 'message', 200), '')), NULL,
    jsonb_build_object('seq', v_last.seq, 'workerId', v_last.payload -> 'workerId', 'status', v_last.payload -> 'status',
      'recordedAt', tallymark.iso_timestamp(v_last.recorded_at),
      'occurredAt', tallymark.iso_timestamp(v_last.occurred_at)));

  SELECT s.* INTO v_silence FROM tallymark.job_silence(job, v_now) AS s;
  SELECT f.* INTO v_habit FROM tallymark.update_frequency(job.id, 50) AS f;
  IF v_silence.state IN ('stuck', 'silent') THEN
    v_late := format('%s; by its habit an update was due within %s', tallymark.duration_text(v_now - v_silence.since),
      tallymark.duration_text(v_silence.allowed));
    v_found := v_found || CASE v_silence.state
      WHEN 'stuck' THEN tallymark.finding('stuck', 'problem',
        format('It is alive, no progress: a sign of life came %s ago, but ', tallymark.duration_text(v_now - job.alive_at))
        || CASE job.status WHEN 'waiting' THEN 'the end of its wait was ' || replace(v_late, '; ', ' ago; ')
          ELSE 'no update for ' || v_late END || '.',
        'Look for what blocks the crawler, such as a lock or a request without a timeout. It still receives commands, '
        'such as pause and cancel.')
      ELSE tallymark.finding('silent', 'problem',
        CASE job.status WHEN 'waiting' THEN 'It said that it waits, and the end of its wait was '
            || replace(v_late, '; ', ' ago; ')
          ELSE 'It is running and has been silent for ' || v_late END
        || format('. There has been no sign of life since %s.',
          tallymark.iso_timestamp(greatest(job.alive_at, v_silence.last_update))),
        'Check whether the crawler''s process is running, then whether it reaches the server (its log shows the answers '
        'that it gets, tallymark.job_intake what was refused). After a restart it continues where it stopped.') END;
    v_found := jsonb_set(v_found, ARRAY['-1', 'facts'], jsonb_build_object(
      'lastUpdateAt', tallymark.iso_timestamp(v_silence.last_update),
      'silentSeconds', round(extract(epoch FROM v_now - v_silence.last_update)),
      'allowedSeconds', round(extract(epoch FROM v_silence.allowed)),
      'since', tallymark.iso_timestamp(v_silence.since), 'aliveAt', tallymark.iso_timestamp(job.alive_at)));
  ELSIF job.status = 'waiting' THEN
    v_found := v_found || tallymark.finding('waiting', 'ok',
      'It waits' || coalesce(' until ' || tallymark.iso_timestamp(v_silence.wait_until), '')
        || coalesce(': ' || nullif(tallymark.current_wait(job) ->> 'reason', ''), '') || '. No update is expected before that.', NULL,
      jsonb_build_object('waitUntil', tallymark.iso_timestamp(v_silence.wait_until), 'reason', tallymark.current_wait(job) -> 'reason',
        'allowedSeconds', round(extract(epoch FROM v_silence.allowed)),
        'aliveAt', tallymark.iso_timestamp(job.alive_at)));
  ELSIF job.status = 'failed' THEN
    v_found := v_found || tallymark.finding('failed', 'problem',
      format('It failed at %s.', tallymark.iso_timestamp(job.finished_at)),
      'Read its last error below. The job runs again, from where it stopped, when a crawler reports started.',
      jsonb_build_object('finishedAt', tallymark.iso_timestamp(job.finished_at)));
  ELSIF tallymark.is_terminal(job.status) THEN
    v_found := v_found || tallymark.finding('ended', 'ok', format('It is %s, so no more updates are expected.',
      job.status), NULL, jsonb_build_object('finishedAt', tallymark.iso_timestamp(job.finished_at)));
  ELSIF job.status = 'running' THEN
    v_found := v_found || tallymark.finding('heard_of', 'ok', coalesce(
        'Updates come as usual: mostly every ' || tallymark.duration_text(v_habit.median_gap) || ', sometimes after '
          || tallymark.duration_text(v_habit.long_gap) || '.', 'With a single update its habit is not known yet.'), NULL,
      jsonb_build_object('perMinute', v_habit.per_minute,
        'medianGapSeconds', round(extract(epoch FROM v_habit.median_gap), 3),
        'longGapSeconds', round(extract(epoch FROM v_habit.long_gap), 3)));
  ELSE
    v_found := v_found || tallymark.finding('not_running', 'ok',
      format('It is %s, so silence is expected.', job.status));
  END IF;
  RETURN v_found;
END
$$;

COMMENT ON FUNCTION tallymark.diagnose_progress(tallymark.job, jsonb) IS
'Diagnoses stalled progress: who reported last and when by both clocks, and whether the job works, waits, is stuck or is
silent, by the rule of job_silence.
Arguments: job: a row of tallymark.job; figures: as update_figures gives them.
Returns: an array of findings: never_reported, all_pruned, or last_update and one of stuck, silent, waiting, failed,
ended, heard_of, not_running.';

REVOKE ALL ON FUNCTION tallymark.diagnose_progress(tallymark.job, jsonb) FROM PUBLIC;
