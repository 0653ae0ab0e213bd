-- Totals that fall once for each start belong to one crawler; totals that fall more often belong to several.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(8);

CREATE FUNCTION pg_temp.codes(figures jsonb) RETURNS text LANGUAGE sql RETURN (
  SELECT string_agg(concat_ws(' ', f ->> 'code', f ->> 'severity'), ', ')
  FROM jsonb_array_elements(tallymark.diagnose_order('{"updates": 100, "late": 0, "workers": 1,
    "jumping": {"worker": "", "drops": 0, "starts": 0, "updates": 100}}' || figures)) AS f);

SELECT is(pg_temp.codes(d.figures), d.codes, d.codes)
FROM (VALUES (1, '{}'::jsonb, 'in_order ok'),
  (2, '{"jumping": {"worker": "", "drops": 4, "starts": 1, "updates": 9}}', 'unnamed_workers problem'),
  (3, '{"jumping": {"worker": "w", "drops": 4, "starts": 1, "updates": 9}}', 'shared_worker problem'),
  (4, '{"jumping": {"worker": "w", "drops": 4, "starts": 2, "updates": 9}}', 'total_restarted note'),
  (5, '{"late": 3, "latestSeconds": 7.5}', 'late_updates note'),
  (6, '{"ahead": 1, "aheadSeconds": 2.5, "behindSeconds": -2.5}', 'clock_ahead warning'),
  (7, '{"ahead": 0, "aheadSeconds": -61, "behindSeconds": 61}', 'clock_behind note'),
  (8, '{"workers": 2, "byWorker": [{"worker": "", "updates": 1}, {"worker": "w", "updates": 2}]}', 'workers ok'))
  AS d (number, figures, codes) ORDER BY d.number;

SELECT * FROM finish();
ROLLBACK;
