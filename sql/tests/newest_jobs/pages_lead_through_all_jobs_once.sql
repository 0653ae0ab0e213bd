-- The newest job comes first, also where several were registered at the same moment. No job is repeated or missing,
-- whatever is reported or registered between two pages.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(12);

DO $$
BEGIN
  PERFORM tallymark.create_job('N ' || n) FROM generate_series(10, 29) AS n;
  -- Five at each moment.
  UPDATE tallymark.job SET created_at = '2025-01-06 10:00:00.123456+00'::timestamptz
    + right(id, 2)::integer / 5 * interval '1 second' WHERE id LIKE 'N %';
END
$$;
CREATE FUNCTION pg_temp.ids(most integer, disturb boolean DEFAULT false) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  v_page jsonb := '{"next": null}';
  v_ids text[] := '{}';
  v_pages integer := 0;
BEGIN
  LOOP
    v_page := tallymark.newest_jobs(id_prefix => 'N ', max_jobs => most, cursor => v_page ->> 'next');
    v_ids := v_ids || ARRAY(SELECT j ->> 'id' FROM jsonb_array_elements(v_page -> 'jobs') AS j);
    EXIT WHEN v_page ->> 'next' IS NULL;
    v_pages := v_pages + 1;
    IF disturb THEN
      PERFORM tallymark.create_job('N new ' || v_pages);
      PERFORM tallymark.merge_progress('N ' || n, jsonb_build_object('processedItems', v_pages, 'status',
        CASE WHEN v_pages % 2 = 0 THEN 'completed' ELSE 'started' END)) FROM generate_series(10, 29) AS n;
    END IF;
  END LOOP;
  RETURN v_ids;
END
$$;
CREATE TEMPORARY TABLE expected AS SELECT ARRAY(SELECT 'N ' || n FROM generate_series(29, 10, -1) AS n) AS ids;

SELECT is(pg_temp.ids(1000), ids, 'in one page') FROM expected;
SELECT is(pg_temp.ids(n), ids, format('in pages of %s', n)) FROM expected, unnest('{1,3,5,20}'::integer[]) AS n;
SELECT is(pg_temp.ids(3, true), ids, 'while jobs come and change') FROM expected;
SELECT is(tallymark.newest_jobs(id_prefix => 'N ', max_jobs => 0), '{"jobs": [], "next": null}', 'a page of none');
SELECT is(jsonb_array_length(tallymark.newest_jobs(id_prefix => 'N ', max_jobs => NULL) -> 'jobs'), 26, 'null is the default');
SELECT throws_ok(format('SELECT tallymark.newest_jobs(cursor => %L)', c), 'TK400', NULL, format('%s is no cursor', c))
FROM unnest(ARRAY['x', encode('N 10', 'hex'), encode('12345678901234567 N', 'hex')]) AS c;
SELECT is(tallymark.newest_jobs(id_prefix => 'N ', cursor => encode('0 ', 'hex')), '{"jobs": [], "next": null}',
  'before all there is nothing');

SELECT * FROM finish();
ROLLBACK;
