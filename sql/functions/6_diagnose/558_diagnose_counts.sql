-- Diagnosis, data inconsistencies: counts that cannot be right.

CREATE OR REPLACE FUNCTION tallymark.diagnose_counts(job tallymark.job, figures jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_pairs CONSTANT bigint := 6; -- this many reports at least, twice as many without a total to compare with
  c_times CONSTANT numeric := 2;
  f CONSTANT jsonb := diagnose_counts.figures;
  v_processed numeric;
  v_total numeric;
  v_counted numeric;
  v_known numeric;
  v_rising boolean;
  v_facts jsonb;
  v_short CONSTANT jsonb := tallymark.progress_shortfall(job.status, job.progress);
  v_over jsonb;
  v_found jsonb := '[]';
BEGIN
  SELECT CASE WHEN jsonb_typeof(job.progress -> 'processedItems') = 'number'
      THEN (job.progress -> 'processedItems')::numeric END,
    CASE WHEN jsonb_typeof(job.progress -> 'totalItems') = 'number' THEN (job.progress -> 'totalItems')::numeric END,
    CASE WHEN jsonb_typeof(job.progress -> 'itemsByType') = 'object' THEN (
      SELECT sum(CASE WHEN jsonb_typeof(t.value) = 'number' THEN t.value::numeric END)
      FROM jsonb_each(job.progress -> 'itemsByType') AS t) END
  INTO v_processed, v_total, v_counted;
  v_known := coalesce(v_processed, v_total);
  v_facts := jsonb_build_object('counted', v_counted, 'processedItems', v_processed, 'totalItems', v_total,
    'largestReport', f -> 'largestReport');
  -- Increments go up and down; numbers that never fall and mostly rise are running totals.
  v_rising := (f ->> 'notLower')::bigint = (f ->> 'reported')::bigint
    AND (f ->> 'higher')::bigint * 2 >= (f ->> 'reported')::bigint;
  IF v_rising AND v_counted > v_known * c_times AND (f ->> 'reported')::bigint >= c_pairs THEN
    v_found := tallymark.finding('totals_as_increments', 'problem', format(
        'itemsByType adds up to %s, while %s, and each report was at least as high as the one before (the highest was '
        '%s). The crawler sends running totals, which are summed as increments: the counts are far too high.', v_counted,
        concat_ws(' and ', 'processedItems is ' || v_processed, 'totalItems is ' || v_total), f ->> 'largestReport'),
      'Let the crawler send "counting": "cumulative". Where it cannot be changed, register its jobs with the attributes '
        '{"counting": "cumulative"} before they begin: tallymark job create JOB --attributes ''{"counting": '
        '"cumulative"}''. The counts of this job stay as they are.', v_facts);
  ELSIF v_rising AND v_counted > 0 AND v_known IS NULL AND (f ->> 'reported')::bigint >= c_pairs * 2 THEN
    v_found := tallymark.finding('totals_as_increments', 'warning', format(
        'itemsByType adds up to %s, and of %s reports each was at least as high as the one before (the highest was '
        '%s): these look like running totals, which are summed as if they were increments.', v_counted,
        (f ->> 'reported')::bigint + 1, f ->> 'largestReport'),
      'If that is so, let the crawler send "counting": "cumulative", or register its jobs with the attributes '
        '{"counting": "cumulative"}.', v_facts);
  ELSIF v_counted > v_known * c_times THEN
    v_found := tallymark.finding('types_above_processed', 'note', format(
        'itemsByType adds up to %s, while %s.', v_counted,
        concat_ws(' and ', 'processedItems is ' || v_processed, 'totalItems is ' || v_total)),
      'This may be intended: an item can be of several types, or contain other items.', v_facts);
  END IF;
  IF v_processed > v_total THEN
    v_found := v_found || tallymark.finding('processed_above_total', 'warning',
      format('It has processed %s of %s %s, more than there are.', v_processed, v_total,
        CASE v_total WHEN 1 THEN 'item' ELSE 'items' END),
      'The processedItems of all workers are summed, so totalItems must be the total of the whole job, no two workers '
        'may process the same items, and a crawler that finds more items should send the new total.', v_facts);
  END IF;
  IF v_short IS NOT NULL THEN
    v_found := v_found || tallymark.finding('shortfall', 'problem',
      format('It reported completed, but these are missing: %s.', tallymark.counts_text(v_short)),
      'Look for what its crawler left out. Items that fail for good or are skipped on purpose belong into failedByType and '
        'skippedByType.', jsonb_build_object('shortfall', v_short));
  END IF;
  SELECT jsonb_object_agg(b.key, b.value -> 'over') INTO v_over
  FROM jsonb_each(tallymark.progress_books(job.progress)) AS b WHERE (b.value ->> 'over')::numeric > 0;
  IF v_over IS NOT NULL THEN
    v_found := v_found || tallymark.finding('over_total', 'warning',
      format('More items were done, failed or skipped than there are. Too many: %s.', tallymark.counts_text(v_over)),
      'An item should be counted once, as done, failed or skipped, and a crawler that finds more items should send the new '
        'totalsByType, or count them in foundByType.', jsonb_build_object('over', v_over));
  END IF;
  IF v_found = '[]' THEN
    v_found := tallymark.finding('counts_fit', 'ok', 'Its counts are consistent.', NULL, v_facts);
  END IF;
  RETURN v_found;
END
$$;

COMMENT ON FUNCTION tallymark.diagnose_counts(tallymark.job, jsonb) IS
'Diagnoses data inconsistencies: running totals that are summed as if they were increments, and more items processed
than there are, and books that do not balance.
Arguments: job: a row of tallymark.job; figures: as update_figures gives them.
Returns: an array of findings: totals_as_increments, types_above_processed, processed_above_total, shortfall,
over_total; counts_fit where there is none of these.';

REVOKE ALL ON FUNCTION tallymark.diagnose_counts(tallymark.job, jsonb) FROM PUBLIC;
