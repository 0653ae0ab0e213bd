-- Following "next" to the end gives every job once, whatever the size of the pages.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(10);

DO $$
BEGIN
  PERFORM tallymark.create_job('paged ' || n) FROM generate_series(1, 1203) AS n;
END
$$;
CREATE FUNCTION pg_temp.seen(most integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_page jsonb;
  v_cursor text;
  v_ids text[] := '{}';
BEGIN
  LOOP
    v_page := tallymark.list_jobs(id_prefix => 'paged ', max_jobs => most, cursor => v_cursor);
    v_ids := v_ids || ARRAY(SELECT j ->> 'id' FROM jsonb_array_elements(v_page -> 'jobs') AS j);
    v_cursor := v_page ->> 'next';
    EXIT WHEN v_cursor IS NULL;
  END LOOP;
  RETURN cardinality(v_ids) || CASE WHEN v_ids = ARRAY(SELECT DISTINCT i COLLATE "C" FROM unnest(v_ids) AS i ORDER BY 1)
    THEN ' in order' ELSE ' in disorder' END;
END
$$;

SELECT is(pg_temp.seen(c.most), '1203 in order', coalesce('pages of ' || c.most,
  'pages of the size that null stands for'))
FROM (VALUES (1, 100), (2, 401), (3, 1000), (4, 5000), (5, NULL), (6, 1203)) AS c (number, most) ORDER BY c.number;
SELECT is(jsonb_array_length(tallymark.list_jobs(id_prefix => 'paged ', max_jobs => 5000) -> 'jobs'), 1000,
  'at most 1000');
SELECT is(jsonb_array_length(tallymark.list_jobs(id_prefix => 'paged ') -> 'jobs'), 100,
  '100 when nothing is asked for');
SELECT is(tallymark.list_jobs(id_prefix => 'nothing '), '{"jobs": [], "next": null}', 'where there are no jobs');
SELECT is(tallymark.list_jobs(id_prefix => 'paged ', max_jobs => 0), '{"jobs": [], "next": null}',
  'none, when none were asked for');

SELECT * FROM finish();
ROLLBACK;
