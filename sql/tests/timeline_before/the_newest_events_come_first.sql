-- The ledger is read backwards. Following "next" gives every event once, of all kinds or of some.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(14);

DO $$
BEGIN
  PERFORM tallymark.create_job(id) FROM unnest('{job,empty}'::text[]) AS id;
  PERFORM tallymark.merge_progress('job', jsonb_build_object('processedItems', n) || CASE n % 3
    WHEN 0 THEN jsonb_build_object('error', 'e') WHEN 1 THEN jsonb_build_object('stage', n::text) ELSE '{}' END)
  FROM generate_series(1, 30) AS n;
END
$$;
CREATE FUNCTION pg_temp.seqs(kinds text[], most integer) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
  v_page jsonb := '{"next": 0}';
  v_seen bigint[] := '{}';
BEGIN
  WHILE v_page ->> 'next' IS NOT NULL LOOP
    v_page := tallymark.timeline_before_page('job', (v_page -> 'next')::bigint, most, kinds);
    v_seen := v_seen || ARRAY(SELECT (e -> 'seq')::bigint FROM jsonb_array_elements(v_page -> 'events') AS e);
  END LOOP;
  RETURN v_seen;
END
$$;

SELECT is(pg_temp.seqs(NULL, n), ARRAY(SELECT generate_series(30, 1, -1)::bigint), format('all, in pages of %s', n))
FROM unnest('{1,7,30,1000}'::integer[]) AS n;
SELECT is(pg_temp.seqs('{error}', 4), '{30,27,24,21,18,15,12,9,6,3}'::bigint[], 'those of a kind');
SELECT is((pg_temp.seqs('{error,stage_change}', 3))[1:5], '{30,28,27,25,24}'::bigint[], 'of one of two kinds');
SELECT is(pg_temp.seqs('{nothing}', 3), '{}'::bigint[], 'a kind without events gives none');
SELECT is(ARRAY(SELECT seq FROM tallymark.timeline_before('job', 4)), '{3,2,1}'::bigint[], 'those before an event');
SELECT results_eq('SELECT * FROM tallymark.timeline_before(''job'')',
  'SELECT * FROM tallymark.timeline(''job'') ORDER BY seq DESC', 'the same as forwards');
SELECT is(ARRAY(SELECT seq FROM tallymark.timeline('job', 20, 4, NULL, '{error,stage_change}')),
  '{21,22,24,25}'::bigint[], 'which gives several kinds, too');
SELECT is(tallymark.timeline_page('job', 27, 1, event_kinds => '{error,stage_change}') -> 'next', '28',
  'with a next while there are more of these');
SELECT is(tallymark.timeline_before_page('empty'), '{"events": [], "next": null}', 'a job without events');
SELECT is(tallymark.timeline_before_page('job', 0, 0), '{"events": [], "next": null}', 'a page of none');
SELECT throws_ok($$ SELECT tallymark.timeline_before_page('nobody') $$, 'TK404', NULL, 'an unknown job is refused');

SELECT * FROM finish();
ROLLBACK;
