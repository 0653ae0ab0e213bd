-- Two signs together show running totals that are summed as increments: they never fall, and the sum is far too high.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(12);

CREATE FUNCTION pg_temp.codes(progress jsonb, figures jsonb) RETURNS text LANGUAGE sql RETURN (
  SELECT string_agg(concat_ws(' ', f ->> 'code', f ->> 'severity'), ', ')
  FROM jsonb_array_elements(tallymark.diagnose_counts(
    jsonb_populate_record(NULL::tallymark.job, jsonb_build_object('status', 'finished', 'progress', progress)),
    '{"reported": 20, "notLower": 20, "higher": 15, "largestReport": 99}' || figures)) AS f);

SELECT is(pg_temp.codes(d.progress, d.figures), d.codes, d.codes || ', ' || d.progress)
FROM (VALUES (1, '{"processedItems": 100, "itemsByType": {"a": 900}}'::jsonb, '{}'::jsonb, 'totals_as_increments problem'),
  (2, '{"processedItems": 100, "itemsByType": {"a": 900}}', '{"notLower": 19}', 'types_above_processed note'),
  (3, '{"processedItems": 100, "itemsByType": {"a": 900}}', '{"higher": 5}', 'types_above_processed note'),
  (4, '{"processedItems": 100, "itemsByType": {"a": 100}}', '{}', 'counts_fit ok'),
  (5, '{"itemsByType": {"a": 900}}', '{}', 'totals_as_increments warning'),
  (6, '{"itemsByType": {"a": 900}}', '{"reported": 3, "notLower": 3, "higher": 3}', 'counts_fit ok'),
  (7, '{"processedItems": 11, "totalItems": 10}', '{}', 'processed_above_total warning'),
  (8, '{"processedItems": "x", "totalItems": [], "itemsByType": 7}', '{}', 'counts_fit ok'),
  (9, '{"itemsByType": {"a": 3}, "totalsByType": {"a": 10}}', '{"higher": 5}', 'shortfall problem'),
  (10, '{"itemsByType": {"a": 13}, "totalsByType": {"a": 10}}', '{"higher": 5}', 'over_total warning'),
  (11, '{"itemsByType": {"a": 13}, "totalsByType": {"a": 10, "b": 1}}', '{"higher": 5}', 'shortfall problem, over_total warning'),
  (12, '{"itemsByType": {"a": 10}, "totalsByType": {"a": 10}}', '{"higher": 5}', 'counts_fit ok'))
  AS d (number, progress, figures, codes) ORDER BY d.number;

SELECT * FROM finish();
ROLLBACK;
