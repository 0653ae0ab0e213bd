-- Diagnosis, data inconsistencies: updates that were refused, sent twice or pruned, and whether the state is the fold
-- of the ledger.

CREATE OR REPLACE FUNCTION tallymark.diagnose_intake(job tallymark.job, verify boolean) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_most_events CONSTANT bigint := 20000; -- longer ledgers are verified only on request
  c_many CONSTANT numeric := 0.2;
  v_now CONSTANT timestamptz := statement_timestamp();
  v_events CONSTANT bigint := job.last_seq - job.pruned_seq;
  v_row record;
  v_difference record;
  v_check tallymark.job_check;
  v_found jsonb := '[]';
BEGIN
  -- Entries older than the job belong to an earlier job with the same id.
  FOR v_row IN
    SELECT i.outcome, sum(i.times) AS times, max(i.last_at) AS last_at,
      string_agg(format('%s times %s%s', i.times, coalesce(nullif(i.code, ''), 'without a code'),
        coalesce(', ' || i.last_problem, '')), '; ' ORDER BY i.times DESC, i.code) AS said,
      jsonb_object_agg(i.code, i.times) AS codes
    FROM tallymark.job_intake AS i WHERE i.job_id = job.id AND i.last_at >= job.created_at
    GROUP BY i.outcome ORDER BY i.outcome DESC
  LOOP
    v_found := v_found || CASE v_row.outcome WHEN 'refused' THEN tallymark.finding('refused',
        CASE WHEN v_row.last_at > v_now - interval '1 day' THEN 'warning' ELSE 'note' END,
        format('%s of its updates were refused, the last one %s ago: %s.', v_row.times,
          tallymark.duration_text(v_now - v_row.last_at), v_row.said),
        'What was refused is not counted. The client keeps it in its spool or its log: correct the crawler and send it '
          'again.',
        jsonb_build_object('times', v_row.times, 'codes', v_row.codes, 'lastAt', tallymark.iso_timestamp(v_row.last_at)))
      ELSE tallymark.finding('duplicates',
        CASE WHEN v_row.times > v_events * c_many AND v_row.times > 10 THEN 'warning' ELSE 'note' END,
        format('%s of its updates came more than once, the last one %s ago; each counted once.', v_row.times,
          tallymark.duration_text(v_now - v_row.last_at)),
        'A few are retries, as they should be. Many say that answers do not get back to the crawler in time: see its '
          'timeout (30 s is the guideline) and the network.',
        jsonb_build_object('times', v_row.times, 'events', v_events,
          'lastAt', tallymark.iso_timestamp(v_row.last_at))) END;
  END LOOP;
  IF v_found = '[]' THEN
    v_found := tallymark.finding('all_taken', 'ok', 'No update is known that was refused or came more than once.');
  END IF;

  IF coalesce(diagnose_intake.verify, v_events <= c_most_events) THEN
    SELECT d.* INTO v_difference FROM tallymark.verify_differences(job.id) AS d ORDER BY d.seq, d.field LIMIT 1;
    v_found := v_found || CASE WHEN v_difference.field IS NULL
      THEN tallymark.finding('verified', 'ok', 'Its state is what its ledger adds up to.', NULL,
        jsonb_build_object('events', v_events))
      ELSE tallymark.finding('mismatch', 'problem',
        format('Its state is not what its ledger adds up to: event %s differs in %s.', v_difference.seq,
          v_difference.field),
        'Somebody changed rows by hand, or the storage is damaged. tallymark verify JOB names each difference; restore '
          'from a backup what was changed.',
        jsonb_build_object('seq', v_difference.seq, 'field', v_difference.field, 'stored', v_difference.stored,
          'folded', v_difference.folded)) END;
  ELSE
    SELECT c.* INTO v_check FROM tallymark.job_check AS c WHERE c.job_id = job.id;
    v_found := v_found || CASE WHEN v_check.exact IS FALSE
      THEN tallymark.finding('mismatch', 'problem', format(
          'Its state was not what its ledger adds up to when it was last verified, %s ago: event %s differed in %s.',
          tallymark.duration_text(v_now - v_check.checked_at), v_check.difference ->> 'seq',
          v_check.difference ->> 'field'),
        'tallymark verify JOB names each difference as it is now.',
        v_check.difference || jsonb_build_object('checkedAt', tallymark.iso_timestamp(v_check.checked_at)))
      ELSE tallymark.finding('not_verified', 'ok', format('Its %s events were not verified now', v_events)
          || coalesce('; they were exact ' || tallymark.duration_text(v_now - v_check.checked_at) || ' ago.', '.'),
        'Ask for it with --verify; it reads the whole ledger.', jsonb_build_object('events', v_events,
          'checkedAt', tallymark.iso_timestamp(v_check.checked_at))) END;
  END IF;
  IF job.pruned_seq > 0 THEN
    v_found := v_found || tallymark.finding('pruned', 'ok',
      format('Its first %s events were pruned: what they counted is kept, what they said is not.', job.pruned_seq),
      NULL, jsonb_build_object('prunedSeq', job.pruned_seq));
  END IF;
  RETURN v_found;
END
$$;

COMMENT ON FUNCTION tallymark.diagnose_intake(tallymark.job, boolean) IS
'Diagnoses data inconsistencies: refusals and duplicates as the endpoints counted them, and whether the state is the
fold of the ledger.
Arguments: job: a row of tallymark.job; verify: whether to fold the ledger again, null for yes where it has at most
20000 events.
Returns: an array of findings: refused, duplicates or all_taken; verified, mismatch or not_verified; pruned.
Cost: that of verify_differences where it verifies.';

REVOKE ALL ON FUNCTION tallymark.diagnose_intake(tallymark.job, boolean) FROM PUBLIC;
