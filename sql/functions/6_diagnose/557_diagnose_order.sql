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
      'They are counted like any other and change no field that a newer update gave. The cause may be several '
        'workers, a spool that was sent late, or a clock that was set back.',
      jsonb_build_object('late', f -> 'late', 'updates', f -> 'updates', 'latestSeconds', f -> 'latestSeconds'));
  END IF;
  IF (f ->> 'aheadSeconds')::numeric > c_clock_seconds THEN
    v_found := v_found || tallymark.finding('clock_ahead', 'warning', format(
        'A crawler''s clock is ahead of the server''s: %s of %s %s had a timestamp in the future, by up to %s.',
        f -> 'ahead', f -> 'updates', CASE f ->> 'updates' WHEN '1' THEN 'update' ELSE 'updates' END,
        tallymark.duration_text(make_interval(secs => (f ->> 'aheadSeconds')::double precision))),
      'Set the clock of its machine with NTP. Until then such updates count as of their arrival.',
      jsonb_build_object('ahead', f -> 'ahead', 'aheadSeconds', f -> 'aheadSeconds'));
  ELSIF (f ->> 'behindSeconds')::numeric > c_behind_seconds AND (f ->> 'updates')::bigint >= 10 THEN
    v_found := v_found || tallymark.finding('clock_behind', 'note', format(
        'Each of %s updates came at least %s after its timestamp: the crawler''s clock is behind, or all came late.',
        f -> 'updates', tallymark.duration_text(make_interval(secs => (f ->> 'behindSeconds')::double precision))),
      'Check whether its machine sets its clock with NTP, and whether its updates wait in a spool first.',
      jsonb_build_object('behindSeconds', f -> 'behindSeconds'));
  END IF;

  IF v_drops >= c_drops + (v_jumping ->> 'starts')::bigint THEN
    v_found := v_found || CASE WHEN v_jumping ->> 'worker' = '' THEN tallymark.finding('unnamed_workers', 'problem',
        format('processedItems jumped back %s times in %s updates without a workerId: several crawlers seem to report on '
          'this job at once, each with its own running total, and only the highest is counted.', v_drops,
          v_jumping -> 'updates'),
        'Give each crawler its own workerId; then their totals are summed. If there is only one, it counts wrongly.',
        v_jumping - 'last_at')
      ELSE tallymark.finding('shared_worker', 'problem',
        format('processedItems of the worker %s jumped back %s times in %s updates: several crawlers seem to use this '
          'workerId, and only the highest of their totals is counted.', v_jumping ->> 'worker', v_drops,
          v_jumping -> 'updates'),
        'Give each crawler its own workerId; then their totals are summed. If there is only one, it counts wrongly.',
        v_jumping - 'last_at') END;
  ELSIF v_drops > 0 THEN
    v_found := v_found || tallymark.finding('total_restarted', 'note', format(
        'processedItems fell %s%s: a restarted crawler counted from 0 again, so the job''s total does not grow until '
        'the crawler has caught up.', CASE v_drops WHEN 1 THEN 'once' ELSE v_drops || ' times' END,
        coalesce(' for the worker ' || nullif(v_jumping ->> 'worker', ''), '')),
      'Let the crawler continue from what the answer to started gives (resume and worker).', v_jumping - 'last_at');
  END IF;
  IF (f ->> 'workers')::bigint > 1 THEN
    v_found := v_found || tallymark.finding('workers', 'ok', format('%s workers report on it: %s.', f -> 'workers', (
        SELECT string_agg(format('%s (%s %s)', coalesce(nullif(w.value ->> 'worker', ''), 'one without a workerId'),
          w.value -> 'updates', CASE w.value ->> 'updates' WHEN '1' THEN 'update' ELSE 'updates' END),
          ', ' ORDER BY w.number)
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
