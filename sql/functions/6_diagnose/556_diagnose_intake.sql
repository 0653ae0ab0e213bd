-- Diagnosis, data inconsistencies: updates that were refused, sent twice or pruned, and whether the state is the fold
-- of the ledger.

CREATE OR REPLACE FUNCTION tallymark.diagnose_intake(job tallymark.job, verify boolean) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_most_events CONSTANT bigint := 20000; -- longer ledgers are verified only on request
  c_many CONSTANT numeric := 0.2;
  -- Events, and updates without an updateId among them, that are looked at for the form of their timestamps. The Python
  -- client gives each update an updateId, so there may be none in a ledger of millions.
  c_looked_at CONSTANT integer := 2000;
  c_newest CONSTANT integer := 200;
  v_now CONSTANT timestamptz := statement_timestamp();
  v_events CONSTANT bigint := job.last_seq - job.pruned_seq;
  v_row record;
  v_difference record;
  v_check tallymark.job_check;
  v_whole record;
  v_found jsonb := '[]';
BEGIN
  -- Without an updateId an update is identified by its content, its timestamp included. If timestamps have no fraction
  -- of a second, two equal updates within one second are the same update. So what looks like a retry may be another item.
  SELECT count(*) AS updates, count(*) >= 3 AND bool_and(date_trunc('second', u.said_at) = u.said_at) AS always
  INTO v_whole
  FROM (
    SELECT tallymark.parse_timestamp(e.payload ->> 'timestamp') AS said_at
    FROM tallymark.job_event AS e
    WHERE e.job_id = job.id AND e.seq > job.last_seq - c_looked_at AND e.payload IS NOT NULL
      AND NOT e.payload ? 'updateId' AND e.payload ? 'timestamp'
    ORDER BY e.seq DESC LIMIT c_newest
  ) AS u;

  -- Entries older than the job belong to an earlier job with the same id.
  FOR v_row IN
    SELECT i.outcome, sum(i.times) AS times, max(i.last_at) AS last_at,
      string_agg(format('%s %s%s', CASE i.times WHEN 1 THEN 'once' ELSE i.times || ' times' END,
        coalesce(nullif(i.code, ''), 'without a code'),
        coalesce(', ' || i.last_problem, '')), '; ' ORDER BY i.times DESC, i.code) AS said,
      jsonb_object_agg(i.code, i.times) AS codes
    FROM tallymark.job_intake AS i WHERE i.job_id = job.id AND i.last_at >= job.created_at
    GROUP BY i.outcome ORDER BY i.outcome DESC
  LOOP
    v_found := v_found || CASE WHEN v_row.outcome = 'refused' THEN tallymark.finding('refused',
        CASE WHEN v_row.last_at > v_now - interval '24 hours' THEN 'warning' ELSE 'note' END,
        format('%s of its updates %s refused, the last one %s ago: %s.', v_row.times,
          CASE v_row.times WHEN 1 THEN 'was' ELSE 'were' END, tallymark.duration_text(v_now - v_row.last_at),
          v_row.said),
        'Refused updates are not counted. The client keeps them in its spool or its log. Correct the crawler and send '
          'them again.',
        jsonb_build_object('times', v_row.times, 'codes', v_row.codes, 'lastAt', tallymark.iso_timestamp(v_row.last_at)))
      WHEN v_whole.always THEN tallymark.finding('duplicates', 'warning',
        format('%s of its updates came more than once, the last one %s ago; each counted once. All timestamps of its '
          'newest %s updates without an updateId are to the second, so two equal updates within one second are one.',
          v_row.times, tallymark.duration_text(v_now - v_row.last_at), v_whole.updates),
        'Items may be missing. Let the crawler give each update an updateId, or a timestamp with milliseconds.',
        jsonb_build_object('times', v_row.times, 'events', v_events, 'wholeSeconds', true,
          'lastAt', tallymark.iso_timestamp(v_row.last_at)))
      ELSE tallymark.finding('duplicates',
        CASE WHEN v_row.times > v_events * c_many AND v_row.times > 10 THEN 'warning' ELSE 'note' END,
        format('%s of its updates came more than once, the last one %s ago; each counted once.', v_row.times,
          tallymark.duration_text(v_now - v_row.last_at)),
        'A few are normal: they are retries. Many mean that answers do not reach the crawler in time. Check its '
          'timeout (the guideline is 30 s) and the network.',
        jsonb_build_object('times', v_row.times, 'events', v_events, 'wholeSeconds', false,
          'lastAt', tallymark.iso_timestamp(v_row.last_at))) END;
  END LOOP;
  IF v_found = '[]' THEN
    v_found := tallymark.finding('all_taken', 'ok', 'As far as is known, no update was refused or came more than once.');
  END IF;

  IF coalesce(diagnose_intake.verify, v_events <= c_most_events) THEN
    SELECT d.* INTO v_difference FROM tallymark.verify_differences(job.id) AS d ORDER BY d.seq, d.field LIMIT 1;
    v_found := v_found || CASE WHEN v_difference.field IS NULL
      THEN tallymark.finding('verified', 'ok', 'Its state matches its ledger.', NULL,
        jsonb_build_object('events', v_events))
      ELSE tallymark.finding('mismatch', 'problem',
        format('Its state does not match its ledger: event %s differs in %s.', v_difference.seq,
          v_difference.field),
        'Rows were changed by hand, or the storage is damaged. tallymark verify JOB names each difference; restore '
          'the changed rows from a backup.',
        jsonb_build_object('seq', v_difference.seq, 'field', v_difference.field, 'stored', v_difference.stored,
          'folded', v_difference.folded)) END;
  ELSE
    SELECT c.* INTO v_check FROM tallymark.job_check AS c WHERE c.job_id = job.id;
    v_found := v_found || CASE WHEN v_check.exact IS FALSE
      THEN tallymark.finding('mismatch', 'problem', format(
          'Its state did not match its ledger when it was last verified, %s ago: event %s differed in %s.',
          tallymark.duration_text(v_now - v_check.checked_at), v_check.difference ->> 'seq',
          v_check.difference ->> 'field'),
        'tallymark verify JOB names each difference that there is now.',
        v_check.difference || jsonb_build_object('checkedAt', tallymark.iso_timestamp(v_check.checked_at)))
      ELSE tallymark.finding('not_verified', 'ok', format('Its ledger of %s %s was not verified now',
            v_events, CASE v_events WHEN 1 THEN 'event' ELSE 'events' END)
          || coalesce('; it matched its state ' || tallymark.duration_text(v_now - v_check.checked_at) || ' ago.', '.'),
        '--verify verifies it and reads the whole ledger.', jsonb_build_object('events', v_events,
          'checkedAt', tallymark.iso_timestamp(v_check.checked_at))) END;
  END IF;
  IF job.pruned_seq > 0 THEN
    v_found := v_found || tallymark.finding('pruned', 'ok',
      CASE job.pruned_seq WHEN 1 THEN 'Its first event was pruned: its counts are kept, its details are not.'
        ELSE format('Its first %s events were pruned: their counts are kept, their details are not.', job.pruned_seq)
        END,
      NULL, jsonb_build_object('prunedSeq', job.pruned_seq));
  END IF;
  RETURN v_found;
END
$$;

COMMENT ON FUNCTION tallymark.diagnose_intake(tallymark.job, boolean) IS
'Diagnoses data inconsistencies: refusals and duplicates as the endpoints counted them, and whether the state is the
fold of the ledger. For duplicates it tells whether timestamps without a fraction of a second may be the cause.
Arguments: job: a row of tallymark.job; verify: whether to fold the ledger again, null for yes where it has at most
20000 events.
Returns: an array of findings: refused, duplicates or all_taken; verified, mismatch or not_verified; pruned.
Cost: that of verify_differences where it verifies.';

REVOKE ALL ON FUNCTION tallymark.diagnose_intake(tallymark.job, boolean) FROM PUBLIC;
