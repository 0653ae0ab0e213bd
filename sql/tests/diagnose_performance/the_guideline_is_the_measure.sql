-- The guideline is updates under 10 KB, one every 10 to 50 items. Deviations are noted, and are warnings only where
-- they cause harm.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(11);

INSERT INTO tallymark.job (id, status, last_seq) VALUES ('Q job', 'running', 9);
INSERT INTO tallymark.job_event (job_id, seq, event, occurred_at, recorded_at, payload)
SELECT 'Q job', n, 'x', now(), now() - (9 - n) * interval '1 s', '{"message": "x"}' FROM generate_series(1, 9) AS n;
CREATE FUNCTION pg_temp.codes(figures jsonb, last bigint DEFAULT 9) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  j tallymark.job;
BEGIN
  SELECT x.* INTO j FROM tallymark.job AS x WHERE x.id = 'Q job';
  j.last_seq := last;
  RETURN (SELECT string_agg(concat_ws(' ', f ->> 'code', f ->> 'severity'), ', ')
    FROM jsonb_array_elements(tallymark.diagnose_performance(j, '{"updates": 9, "large": 0, "itemsPerUpdate": 20,
      "averageBytes": 100, "largestBytes": 200, "largestSeq": 3}' || figures)) AS f);
END
$$;

SELECT is(pg_temp.codes('{}'), 'small_updates ok, good_frequency ok, ledger ok', 'as it should be');
SELECT is(pg_temp.codes('{"itemsPerUpdate": 9.5}'), 'small_updates ok, few_items note, ledger ok', 'few items');
SELECT is(pg_temp.codes('{"itemsPerUpdate": 51}'), 'small_updates ok, many_items note, ledger ok', 'many items');
SELECT is(pg_temp.codes('{"large": 1, "updates": 10}'), 'large_updates note, good_frequency ok, ledger ok', 'one large');
SELECT is(pg_temp.codes('{"large": 1}'), 'large_updates warning, good_frequency ok, ledger ok', 'many large ones');
SELECT is(pg_temp.codes('{}', 100001), 'small_updates ok, good_frequency ok, long_ledger note', 'a long ledger');
SELECT is(pg_temp.codes('{"updates": 0, "itemsPerUpdate": null}'), 'ledger ok', 'nothing at all');
CREATE FUNCTION pg_temp.named(types integer, fields integer) RETURNS text LANGUAGE sql
BEGIN ATOMIC
  UPDATE tallymark.job SET facets = jsonb_build_object('itemTypes', (
      SELECT coalesce(jsonb_agg('t' || n), '[]') FROM generate_series(1, types) AS n)),
    progress = (SELECT coalesce(jsonb_object_agg('f' || n, n), '{}') FROM generate_series(1, fields) AS n)
  WHERE id = 'Q job';
  SELECT pg_temp.codes('{}');
END;
SELECT is(pg_temp.named(999, 999), 'small_updates ok, good_frequency ok, ledger ok', 'names');
SELECT is(pg_temp.named(1000, 0), 'small_updates ok, good_frequency ok, many_names warning, ledger ok', 'many types');
SELECT is(pg_temp.named(0, 1000), 'small_updates ok, good_frequency ok, many_names warning, ledger ok', 'many fields');
DO $$ BEGIN PERFORM pg_temp.named(0, 0); END $$;
UPDATE tallymark.job_event SET recorded_at = now() - (9 - seq) * interval '6 min' WHERE job_id = 'Q job';
SELECT is(pg_temp.codes('{}'), 'small_updates ok, too_seldom warning, ledger ok', 'long silences');

SELECT * FROM finish();
ROLLBACK;
