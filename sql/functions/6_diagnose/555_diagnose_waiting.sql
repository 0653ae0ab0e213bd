-- Diagnosis, stalled progress: what the job may be waiting for, and the errors that its crawler reported.

CREATE OR REPLACE FUNCTION tallymark.diagnose_waiting(job tallymark.job, figures jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_patience CONSTANT bigint := 5; -- events, within which a crawler should have received a command and obeyed it
  v_now CONSTANT timestamptz := statement_timestamp();
  c_most_reasons CONSTANT integer := 3;
  v_waited record;
  v_since bigint;
  v_refused record;
  v_error tallymark.job_event;
  v_details jsonb;
  v_found jsonb := '[]';
BEGIN
  IF job.requested_command IS NOT NULL THEN
    v_since := job.last_seq - job.command_seq;
    v_found := v_found || tallymark.finding('command_waiting', CASE WHEN v_since >= c_patience THEN 'warning'
        ELSE 'note' END,
      format('The command %s is pending', job.requested_command) || CASE v_since
        WHEN 0 THEN '; the crawler has not reported since it was given, so it does not know of it.'
        WHEN 1 THEN ': there has been 1 event since, and the crawler has not obeyed.'
        ELSE format(': there have been %s events since, and the crawler has not obeyed.', v_since) END,
      CASE v_since WHEN 0 THEN 'Wait for its next update; if it is silent, see above.'
        ELSE 'A crawler obeys by reporting paused, processing or cancelled; one that does not know commands must be '
          'stopped by hand.' END,
      jsonb_build_object('command', job.requested_command, 'seq', job.command_seq, 'eventsSince', v_since,
        'requestedAt', (SELECT tallymark.iso_timestamp(e.recorded_at) FROM tallymark.job_event AS e
          WHERE e.job_id = job.id AND e.seq = job.command_seq),
        'requestedBy', (SELECT e.details -> 'requestedBy' FROM tallymark.job_event AS e
          WHERE e.job_id = job.id AND e.seq = job.command_seq)));
  END IF;
  IF job.status IN ('credential_expired', 'waiting_credential_renewal', 'credential_renewed') THEN
    SELECT v_found || tallymark.finding('credentials', CASE WHEN job.status = 'credential_renewed' THEN 'ok'
        ELSE 'problem' END,
        CASE WHEN job.status = 'credential_renewed' THEN 'It is no longer waiting for credentials: it has new ones.'
          ELSE format('It has been waiting for credentials since %s.', tallymark.iso_timestamp(job.newest_at)) END,
      string_agg(g.line, ' ' ORDER BY g.number), jsonb_build_object('status', job.status,
        'since', tallymark.iso_timestamp(job.newest_at), 'credentialStatus', job.progress -> 'credentialStatus'))
    INTO v_found
    FROM jsonb_array_elements_text(tallymark.credential_guidance(job.status, job.progress -> 'credentialStatus'))
      WITH ORDINALITY AS g (line, number);
  END IF;

  SELECT count(*) AS reasons, sum(w.seconds) AS seconds, sum(w.waits) AS waits, jsonb_agg(jsonb_build_object(
      'reason', w.reason, 'waits', w.waits, 'seconds', w.seconds) ORDER BY w.seconds DESC, w.reason) AS facts,
    string_agg(format('%s for %s', tallymark.duration_text(w.seconds * interval '1 second'),
      coalesce(left(w.reason, 100), 'no reason given')), ', ' ORDER BY w.seconds DESC, w.reason)
      FILTER (WHERE w.place <= c_most_reasons) AS list
  INTO v_waited
  FROM tallymark.waiting_times(job.id) WITH ORDINALITY AS w (reason, waits, seconds, last_at, is_current, place);
  IF v_waited.reasons > 0 THEN
    v_found := v_found || tallymark.finding('waited', 'note',
      format('It has waited %s in all: %s%s.', tallymark.duration_text(v_waited.seconds * interval '1 second'),
        v_waited.list, CASE WHEN v_waited.reasons > c_most_reasons
          THEN format(' and %s more reasons', v_waited.reasons - c_most_reasons) ELSE '' END), NULL,
      jsonb_build_object('seconds', v_waited.seconds, 'waits', v_waited.waits, 'reasons', v_waited.facts));
  END IF;

  -- A crawler whose updates are refused is not silent, though the ledger looks as if it were.
  SELECT sum(i.times) AS times, max(i.last_at) AS last_at,
    (array_agg(i.code || coalesce(', ' || i.last_problem, '') ORDER BY i.last_at DESC))[1] AS said
  INTO v_refused FROM tallymark.job_intake AS i
  WHERE i.job_id = job.id AND i.outcome = 'refused'
    AND i.last_at > CASE WHEN job.last_seq > 0 THEN job.updated_at ELSE job.created_at END;
  IF v_refused.last_at IS NOT NULL AND NOT tallymark.is_terminal(job.status) THEN
    v_found := v_found || tallymark.finding('only_refused', 'problem', format(
        'Its crawler reports, but its updates are refused: the last one %s ago, after the last accepted update. %s',
        tallymark.duration_text(v_now - v_refused.last_at), v_refused.said),
      'Correct what the crawler sends; then its updates are accepted.',
      jsonb_build_object('lastAt', tallymark.iso_timestamp(v_refused.last_at)));
  END IF;

  IF (diagnose_waiting.figures ->> 'errors')::bigint > 0 THEN
    SELECT e.* INTO v_error FROM tallymark.job_event AS e
    WHERE e.job_id = job.id AND e.seq = (diagnose_waiting.figures ->> 'lastErrorSeq')::bigint;
    v_details := tallymark.event_details(v_error.payload, NULL);
    v_found := v_found || tallymark.finding('errors',
      CASE WHEN NOT tallymark.is_terminal(job.status) AND v_error.recorded_at > v_now - interval '1 hour'
        THEN 'warning' ELSE 'note' END,
      format('Its crawler reported %s %s in its newest %s %s, the last one %s ago%s.',
        diagnose_waiting.figures -> 'errors',
        CASE diagnose_waiting.figures ->> 'errors' WHEN '1' THEN 'error' ELSE 'errors' END,
        diagnose_waiting.figures -> 'updates',
        CASE diagnose_waiting.figures ->> 'updates' WHEN '1' THEN 'update' ELSE 'updates' END,
        tallymark.duration_text(v_now - v_error.recorded_at),
        coalesce(': ' || nullif(concat_ws(', ', v_details ->> 'errorType',
          left(coalesce(v_details ->> 'errorMessage', v_details ->> 'message'), 300)), ''), '')),
      'tallymark job show JOB shows it on the timeline, with its stack if the crawler gave one.',
      jsonb_build_object('errors', diagnose_waiting.figures -> 'errors', 'lastSeq', v_error.seq,
        'lastAt', tallymark.iso_timestamp(v_error.recorded_at), 'errorType', v_details -> 'errorType',
        'errorMessage', left(coalesce(v_details ->> 'errorMessage', v_details ->> 'message'), 1000)));
  ELSE
    v_found := v_found || tallymark.finding('no_errors', 'ok', 'Its crawler has reported no error lately.');
  END IF;
  RETURN v_found;
END
$$;

COMMENT ON FUNCTION tallymark.diagnose_waiting(tallymark.job, jsonb) IS
'Diagnoses stalled progress: what the job may be waiting for, whether its crawler is refused, and its errors.
Arguments: job: a row of tallymark.job; figures: as update_figures gives them.
Returns: an array of findings: command_waiting, credentials, waited, only_refused, errors or no_errors.';

REVOKE ALL ON FUNCTION tallymark.diagnose_waiting(tallymark.job, jsonb) FROM PUBLIC;
