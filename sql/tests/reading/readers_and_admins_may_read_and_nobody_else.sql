-- Only readers and admins may call the reading functions, nobody may call their parts, and none of them writes.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(5);

CREATE TEMPORARY VIEW reading AS
SELECT p.oid, p.proname, p.provolatile, p.prosecdef FROM pg_proc AS p
WHERE p.pronamespace = 'tallymark'::regnamespace AND p.proname = ANY ('{family,series_runs,job_series,get_job,read_job,list_jobs,job_at,
  accumulation_history,history_page,job_rate,rate_page,stage_durations,stages_page,update_frequency,error_groups,
  errors_page,waiting_times,job_liveness,stalled_jobs,stalled_page,areas_tree,job_areas,areas_page,jobs_per_day,days_page,
  newest_jobs,jobs_by_status,job_rates,job_changes,timeline_before,timeline_before_page,events_per_minute,
  throughput_page,verify_page,verify_newest,database_figures,busiest_jobs,busiest_page,
  recent_failures,diagnose_job}'::text[]);
CREATE TEMPORARY VIEW parts AS
SELECT p.oid, p.proname, p.provolatile FROM pg_proc AS p
WHERE p.pronamespace = 'tallymark'::regnamespace AND p.proname = ANY ('{job_document,current_wait,newest_events,refuse_query,
  cursor_id,attribute_matches,run_pace,pace_points,run_comparison,series_rhythm,run_document,
  field_value,seq_since,rate_document,normalise_message,job_mark,job_tag,job_row,duration_text,finding,counts_text,
  update_figures,job_silence,wait_spans,waits_to_keep,diagnose_progress,diagnose_waiting,diagnose_intake,diagnose_order,diagnose_counts,
  diagnose_performance}'::text[]);

SELECT is((SELECT count(*) FROM reading) + (SELECT count(*) FROM parts), 71::bigint, 'all of them are there, once');
SELECT is_empty($$ SELECT proname, r.role FROM reading, unnest('{tallymark_reader,tallymark_admin}'::name[]) AS r (role)
  WHERE NOT has_function_privilege(r.role, oid, 'EXECUTE') $$, 'readers and admins may');
SELECT is_empty($$ SELECT proname FROM reading WHERE has_function_privilege('tallymark_writer', oid, 'EXECUTE') $$,
  'writers may not');
SELECT is_empty($$ SELECT proname, r.role FROM parts,
    unnest('{tallymark_reader,tallymark_admin,tallymark_writer}'::name[]) AS r (role)
  WHERE has_function_privilege(r.role, oid, 'EXECUTE') $$, 'nobody may call the parts');
SELECT is_empty($$ SELECT proname FROM reading WHERE provolatile <> 's' OR NOT prosecdef
  UNION ALL SELECT proname FROM parts WHERE provolatile = 'v' $$,
    'and all read in one snapshot, so they run on a replica');

SELECT * FROM finish();
ROLLBACK;
