-- Diagnosis, performance: how much the crawler sends, how often, and how long the ledger is.

CREATE OR REPLACE FUNCTION tallymark.diagnose_performance(job tallymark.job, figures jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_few_items CONSTANT numeric := 10; -- the guideline: an update every 10 to 50 items
  c_many_items CONSTANT numeric := 50;
  c_often CONSTANT numeric := 600; -- a minute
  c_least CONSTANT bigint := 20; -- fewer updates give no meaningful rate
  c_seldom CONSTANT interval := '5 minutes';
  c_long_ledger CONSTANT bigint := 100000;
  c_many_names CONSTANT bigint := tallymark.most_names();
  f CONSTANT jsonb := diagnose_performance.figures;
  v_items CONSTANT numeric := (f ->> 'itemsPerUpdate')::numeric;
  v_events CONSTANT bigint := job.last_seq - job.pruned_seq;
  -- A state that somebody has changed by hand may be anything.
  v_types CONSTANT bigint := jsonb_array_length(jsonb_path_query_array(job.facets, '$.itemTypes[*]'));
  v_fields CONSTANT bigint := (
    SELECT count(*) FROM jsonb_object_keys(CASE jsonb_typeof(job.progress) WHEN 'object' THEN job.progress ELSE '{}' END));
  v_habit record;
  v_largest record;
  v_rate numeric;
  v_facts jsonb;
  v_found jsonb := '[]';
BEGIN
  IF (f ->> 'updates')::bigint > 0 THEN
    v_facts := jsonb_build_object('averageBytes', f -> 'averageBytes', 'largestBytes', f -> 'largestBytes',
      'largestSeq', f -> 'largestSeq', 'large', f -> 'large', 'updates', f -> 'updates');
    IF (f ->> 'large')::bigint > 0 THEN
      SELECT m.key, octet_length(m.value::text) AS bytes INTO v_largest
      FROM tallymark.job_event AS e
      CROSS JOIN LATERAL jsonb_each(CASE jsonb_typeof(e.payload) WHEN 'object' THEN e.payload ELSE '{}' END) AS m
      WHERE e.job_id = job.id AND e.seq = (f ->> 'largestSeq')::bigint ORDER BY 2 DESC, 1 LIMIT 1;
      v_found := tallymark.finding('large_updates',
        CASE WHEN (f ->> 'large')::bigint * 10 > (f ->> 'updates')::bigint THEN 'warning' ELSE 'note' END,
        format('%s of %s %s %s larger than 10 KB; the largest, number %s, has %s bytes, %s of them in %s.',
          f -> 'large', f -> 'updates', CASE f ->> 'updates' WHEN '1' THEN 'update' ELSE 'updates' END,
          CASE f ->> 'large' WHEN '1' THEN 'is' ELSE 'are' END,
          f -> 'largestSeq', f -> 'largestBytes', v_largest.bytes, v_largest.key),
        'Send only what has changed, and large lists in parts.', v_facts || jsonb_build_object('member', v_largest.key));
    ELSE
      v_found := tallymark.finding('small_updates', 'ok', format('Its updates are small: %s bytes on average, %s at most.',
        f -> 'averageBytes', f -> 'largestBytes'), NULL, v_facts);
    END IF;
  END IF;

  SELECT u.* INTO v_habit FROM tallymark.update_frequency(job.id, 50) AS u;
  -- Updates from a batch or a spool arrive at once although they happened over a longer time.
  v_rate := CASE WHEN v_habit.updates >= c_least THEN round(least(v_habit.per_minute,
    ((f ->> 'updates')::bigint - 1) * 60 / nullif((f ->> 'seconds')::numeric, 0)), 1) END;
  v_facts := jsonb_build_object('itemsPerUpdate', v_items, 'perMinute', v_rate,
    'medianGapSeconds', round(extract(epoch FROM v_habit.median_gap), 3));
  IF v_rate > c_often AND v_items < c_few_items THEN
    v_found := v_found || tallymark.finding('too_often', 'warning', format(
        'It gets %s updates a minute, with %s %s in each.', trim_scale(v_rate), v_items,
        CASE v_items WHEN 1 THEN 'item' ELSE 'items' END),
      'Report every 10 to 50 items, or send the updates in batches.', v_facts);
  ELSIF v_habit.median_gap > c_seldom AND job.status = 'running' THEN
    v_found := v_found || tallymark.finding('too_seldom', 'warning', format(
        'It gets an update only every %s%s; in between nobody can see whether it proceeds.',
        tallymark.duration_text(v_habit.median_gap), coalesce(', with ' || v_items
          || CASE v_items WHEN 1 THEN ' item' ELSE ' items' END || ' in each', '')),
      'Report every 10 to 50 items, and at least every few minutes.', v_facts);
  ELSIF v_items < c_few_items THEN
    v_found := v_found || tallymark.finding('few_items', 'note', format(
        'An update stands for %s %s on average; the guideline is 10 to 50.', v_items,
        CASE v_items WHEN 1 THEN 'item' ELSE 'items' END),
      'Nothing, as long as everything is fast. With many jobs, report less often or in batches.', v_facts);
  ELSIF v_items > c_many_items THEN
    v_found := v_found || tallymark.finding('many_items', 'note', format(
        'An update stands for %s items on average; the guideline is 10 to 50.', v_items),
      'Nothing, as long as the figures change often enough for their viewers. Otherwise report more often.', v_facts);
  ELSIF (f ->> 'updates')::bigint > 0 THEN
    v_found := v_found || tallymark.finding('good_frequency', 'ok', coalesce(
        'Updates come' || nullif(concat_ws(',', CASE v_rate WHEN 1 THEN ' once a minute'
          ELSE ' ' || trim_scale(v_rate) || ' times a minute' END, ' every ' || v_items || ' items'), ''),
        'There are too few updates yet to tell how often they come') || '.', NULL, v_facts);
  END IF;

  IF greatest(v_types, v_fields) >= c_many_names THEN
    v_found := v_found || tallymark.finding('many_names', 'warning', format(
        'Its state has %s types of items and %s %s, as many as a state names. What further types count is summed, further '
        'fields are only in the ledger, and each update costs several times as much as others.',
        v_types, v_fields, CASE v_fields WHEN 1 THEN 'field' ELSE 'fields' END),
      'Types and fields are kinds, such as issues. Do not name them after single items, pages or days: put these into a '
        'value, such as lastProcessedId.', jsonb_build_object('types', v_types, 'fields', v_fields));
  END IF;

  v_found := v_found || tallymark.finding(CASE WHEN v_events > c_long_ledger THEN 'long_ledger' ELSE 'ledger' END,
    CASE WHEN v_events > c_long_ledger THEN 'note' ELSE 'ok' END,
    format('Its ledger has %s %s', v_events, CASE v_events WHEN 1 THEN 'event' ELSE 'events' END)
      || coalesce(', about ' || round(v_events * (f ->> 'averageBytes')::numeric / 1024) || ' KB', '') || '.',
    CASE WHEN v_events > c_long_ledger THEN 'tallymark prune folds old events; no counts are lost.' END,
    jsonb_build_object('events', v_events));
  RETURN v_found;
END
$$;

COMMENT ON FUNCTION tallymark.diagnose_performance(tallymark.job, jsonb) IS
'Diagnoses performance: the size of updates against 10 KB, the items in each against 10 to 50, how often updates come,
how many names the state has, and the length of the ledger.
Arguments: job: a row of tallymark.job; figures: as update_figures gives them.
Returns: an array of findings: large_updates or small_updates; too_often, too_seldom, few_items, many_items or
good_frequency; many_names; ledger or long_ledger.';

REVOKE ALL ON FUNCTION tallymark.diagnose_performance(tallymark.job, jsonb) FROM PUBLIC;
