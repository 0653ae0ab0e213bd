-- Tells what is wrong with a job and what to do about it.

CREATE OR REPLACE FUNCTION tallymark.diagnose_job(
  job_id text, verify boolean DEFAULT NULL, max_updates integer DEFAULT 2000
) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
  c_most_updates CONSTANT integer := 10000;
  v_job tallymark.job;
  v_figures jsonb;
  v_scenarios jsonb;
  v_problems bigint;
  v_warnings bigint;
  v_first text;
  v_severity text;
BEGIN
  SELECT j.* INTO v_job FROM tallymark.job AS j WHERE j.id = diagnose_job.job_id;
  IF NOT FOUND THEN
    PERFORM tallymark.refuse_unknown_job(diagnose_job.job_id);
  END IF;
  v_figures := tallymark.update_figures(v_job.id,
    least(greatest(coalesce(diagnose_job.max_updates, 2000), 1), c_most_updates));
  v_scenarios := jsonb_build_array(
    jsonb_build_object('scenario', 'stalled', 'title', 'Stalled progress',
      'findings', tallymark.diagnose_progress(v_job, v_figures) || tallymark.diagnose_waiting(v_job, v_figures)),
    jsonb_build_object('scenario', 'data', 'title', 'Data inconsistencies',
      'findings', tallymark.diagnose_intake(v_job, diagnose_job.verify)
        || CASE WHEN (v_figures ->> 'updates')::bigint > 0 THEN tallymark.diagnose_order(v_figures) ELSE '[]' END
        || tallymark.diagnose_counts(v_job, v_figures)),
    jsonb_build_object('scenario', 'performance', 'title', 'Performance',
      'findings', tallymark.diagnose_performance(v_job, v_figures)));
  SELECT count(*) FILTER (WHERE f.value ->> 'severity' = 'problem'),
    count(*) FILTER (WHERE f.value ->> 'severity' = 'warning'),
    (array_agg(f.value ->> 'says' ORDER BY f.value ->> 'severity' = 'problem' DESC, s.number, f.number)
      FILTER (WHERE f.value ->> 'severity' IN ('problem', 'warning')))[1],
    (array_agg(f.value ->> 'severity' ORDER BY array_position('{problem,warning,note,ok}', f.value ->> 'severity')))[1]
  INTO v_problems, v_warnings, v_first, v_severity
  FROM jsonb_array_elements(v_scenarios) WITH ORDINALITY AS s (value, number),
    jsonb_array_elements(s.value -> 'findings') WITH ORDINALITY AS f (value, number);
  RETURN jsonb_build_object('id', v_job.id, 'status', v_job.status,
    'asOf', tallymark.iso_timestamp(statement_timestamp()), 'severity', v_severity,
    'verdict', CASE WHEN v_first IS NULL THEN format('Nothing is wrong with this job, which is %s.', v_job.status)
      ELSE concat_ws(' and ', v_problems || CASE v_problems WHEN 0 THEN NULL WHEN 1 THEN ' problem' ELSE ' problems' END,
        v_warnings || CASE v_warnings WHEN 0 THEN NULL WHEN 1 THEN ' warning' ELSE ' warnings' END) || ': ' || v_first
      END,
    'problems', v_problems, 'warnings', v_warnings, 'updatesLookedAt', v_figures -> 'updates',
    'lastSeq', v_job.last_seq, 'prunedSeq', v_job.pruned_seq, 'scenarios', v_scenarios);
END
$$;

COMMENT ON FUNCTION tallymark.diagnose_job(text, boolean, integer) IS
'Tells what is wrong with a job and what to do about it, in three parts: stalled progress, data inconsistencies,
performance.
Arguments: job_id: a registered job; verify: whether to fold its ledger again and compare, null for yes where it has
at most 20000 events; max_updates: how many of its newest updates to look at, 1 to 10000, null for 2000.
Returns: {"id", "status", "asOf", "severity": the worst, "verdict": one sentence, "problems" and "warnings": how many,
"updatesLookedAt", "lastSeq", "prunedSeq", "scenarios": [{"scenario": stalled, data or performance, "title",
"findings": [{"code", "severity": ok, note, warning or problem, "says": what was found, "next": what to do, or null,
"facts": the figures}]}]}. The codes are stable: last_update, never_reported, all_pruned, stuck, silent, waiting,
failed, ended, heard_of, not_running, command_waiting, credentials, waited, only_refused, errors, no_errors, refused,
duplicates, all_taken, verified, mismatch, not_verified, pruned, late_updates, clock_ahead, clock_behind,
unnamed_workers, shared_worker, total_restarted, workers, in_order, totals_as_increments, types_above_processed,
processed_above_total, shortfall, over_total, counts_fit, large_updates, small_updates, too_often, too_seldom,
few_items, many_items, good_frequency, many_names, ledger, long_ledger.
Errors: TK404 where there is no such job; TK400 where job_id is null, empty or too long.
Callers: tallymark_reader, tallymark_admin.
Locks: none.
Cost: reads and unpacks max_updates updates; verifying reads the whole ledger.';

REVOKE ALL ON FUNCTION tallymark.diagnose_job(text, boolean, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.diagnose_job(text, boolean, integer) TO tallymark_reader, tallymark_admin;
