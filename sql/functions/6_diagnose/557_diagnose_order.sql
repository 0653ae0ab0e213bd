-- Diagnosis, data inconsistencies: the order of the updates, the clocks, and several crawlers at once.

CREATE OR REPLACE FUNCTION tallymark.diagnose_order(figures jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_clock_seconds CONSTANT numeric := 2;
  c_behind_seconds CONSTANT numeric := 60;
  c_drops CONSTANT bigint := 3; -- this many more than there were restarts
  f CONSTANT jsonb := diagnose_order.figures;
  v_jumping CONSTANT jsonb := f -> 'jumping';
  v_drops CONSTANT bigint := (v_jumping ->> 'drops')::bigint;
  v_found jsonb := '[]';
BEGIN
  IF (f ->> 'late')::bigint > 0 THEN
    v_found := v_found || tallymark.finding('late_updates', 'note', format(
        '%s of %s updates came after one that had happened later, by up to %s.', f -> 'late', f -> 'updates',
        tallymark.duration_text(make_interval(secs => (f ->> 'latestSeconds')::double precision))),
      'They are counted like any other, and change no field that a newer one gave. Several workers at once, a spool '
        'that was sent late, or a clock that was set back do that.',
      jsonb_build_object('late', f -> 'late', 'updates', f -> 'updates', 'latestSeconds', f -> 'latestSeconds'));
  END IF;
  IF (f ->> 'aheadSeconds')::numeric > c_clock_seconds THEN
    v_found := v_found || tallymark.finding('clock_ahead', 'warning', format(
        'A crawler''s clock runs ahead of the server''s: %s of %s updates were of a time still to come, by up to %s.',
        f -> 'ahead', f -> 'updates',
        tallymark.duration_text(make_interval(secs => (f ->> 'aheadSeconds')::double precision))),
      'Set the clock of its machine, with NTP. Until then such updates count as of the time they came.',
      jsonb_build_object('ahead', f -> 'ahead', 'aheadSeconds', f -> 'aheadSeconds'));
  ELSIF (f ->> 'behindSeconds')::numeric > c_behind_seconds AND (f ->> 'updates')::bigint >= 10 THEN
    v_found := v_found || tallymark.finding('clock_behind', 'note', format(
        'Not one of %s updates came less than %s after its own time: the crawler''s clock is behind, or all came late.',
        f -> 'updates', tallymark.duration_text(make_interval(secs => (f ->> 'behindSeconds')::double precision))),
      'See whether its machine keeps its clock by NTP, and whether its updates lie in a spool first.',
      jsonb_build_object('behindSeconds', f -> 'behindSeconds'));
  END IF;

  IF v_drops >= c_drops + (v_jumping ->> 'starts')::bigint THEN
    v_found := v_found || CASE WHEN v_jumping ->> 'worker' = '' THEN tallymark.finding('unnamed_workers', 'problem',
        format('processedItems jumped back %s times in %s updates without a workerId: several crawlers seem to report on '
          'this job at once, each with its own running total, and only the highest is counted.', v_drops,
          v_jumping -> 'updates'),
        'Give each crawler a workerId of its own; then their totals are added. If there is only one, it counts wrongly.',
        v_jumping - 'last_at')
      ELSE tallymark.finding('shared_worker', 'problem',
        format('processedItems of the worker %s jumped back %s times in %s updates: several crawlers seem to use this '
          'workerId, and only the highest of their totals is counted.', v_jumping ->> 'worker', v_drops,
          v_jumping -> 'updates'),
        'Give each crawler a workerId of its own; then their totals are added. If there is only one, it counts wrongly.',
        v_jumping - 'last_at') END;
  ELSIF v_drops > 0 THEN
    v_found := v_found || tallymark.finding('total_restarted', 'note', format(
        'processedItems fell %s times%s: a crawler that was started again counted from nothing, so the job''s total '
        'stands still until it has caught up.', v_drops,
        coalesce(' at the worker ' || nullif(v_jumping ->> 'worker', ''), '')),
      'Let it go on from what the answer to started tells it (resume and worker).', v_jumping - 'last_at');
  END IF;
  IF (f ->> 'workers')::bigint > 1 THEN
    v_found := v_found || tallymark.finding('workers', 'ok', format('%s workers report on it: %s.', f -> 'workers', (
        SELECT string_agg(format('%s (%s updates)', coalesce(nullif(w.value ->> 'worker', ''), 'one without a workerId'),
          w.value -> 'updates'), ', ' ORDER BY w.number)
        FROM jsonb_array_elements(f -> 'byWorker') WITH ORDINALITY AS w (value, number))), NULL,
      jsonb_build_object('workers', f -> 'workers', 'byWorker', f -> 'byWorker'));
  END IF;
  IF v_found = '[]' THEN
    v_found := tallymark.finding('in_order', 'ok', 'Its updates came in order, from one crawler at a time.');
  END IF;
  RETURN v_found;
END
$$;

COMMENT ON FUNCTION tallymark.diagnose_order(jsonb) IS
'Diagnoses data inconsistencies: late updates, clocks, and several crawlers under one name, which show in running
totals that fall more often than crawlers were started.
Arguments: figures: as update_figures gives them.
Returns: an array of findings: late_updates, clock_ahead, clock_behind, unnamed_workers, shared_worker,
total_restarted, workers; in_order where there is none of these.';

REVOKE ALL ON FUNCTION tallymark.diagnose_order(jsonb) FROM PUBLIC;
