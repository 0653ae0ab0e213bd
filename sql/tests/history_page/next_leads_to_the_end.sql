-- A page is one JSON document. Following "next" until it is null gives each row once.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(5);

DO $$
BEGIN
  PERFORM tallymark.create_job('history');
  PERFORM tallymark.merge_progress('history', '{"timestamp": "2025-01-06T10:00:00Z", "processedItems": 1}');
  PERFORM tallymark.merge_progress('history', jsonb_build_object('processedItems', n, 'updateId', n::text))
  FROM generate_series(2, 120) AS n;
END
$$;
CREATE FUNCTION pg_temp.seen(most integer) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_page jsonb := '{"next": 0}';
  v_seen jsonb := '[]';
BEGIN
  WHILE v_page ->> 'next' IS NOT NULL LOOP
    v_page := tallymark.history_page('history', 'processedItems', (v_page -> 'next')::bigint, most);
    v_seen := v_seen || jsonb_path_query_array(v_page, '$.history[*].value');
  END LOOP;
  RETURN v_seen;
END
$$;

SELECT is(tallymark.history_page('history', 'processedItems', 0, 1),
  '{"field": "processedItems", "next": 1, "history": [
  {"seq": 1, "timestamp": "2025-01-06T10:00:00.000Z", "event": "progress_update", "given": 1, "value": 1}]}', 'a page');
SELECT is(tallymark.history_page('history', 'stage'), '{"field": "stage", "history": [], "next": null}',
  'of a field that nobody gave');
SELECT is(pg_temp.seen(c.most), (SELECT jsonb_agg(n) FROM generate_series(1, 120) AS n), 'pages of ' || c.most)
FROM unnest('{7,60,1000}'::integer[]) AS c (most);

SELECT * FROM finish();
ROLLBACK;
