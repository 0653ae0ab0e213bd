-- The trend of a group has the number of errors in each of 24 equal parts of the time.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(7);

DO $$
BEGIN
  PERFORM tallymark.create_job('trend');
  PERFORM tallymark.merge_progress('trend', '{"error": {"type": "T", "message": "m"}}')
  FROM generate_series(1, 6);
  -- 23 and a half hours ago, then half an hour less and so on: parts 0, 0, 1, 1, 2; and one of this moment.
  UPDATE tallymark.job_event SET recorded_at = statement_timestamp() - interval '1425 minutes'
    + seq * interval '30 minutes' - interval '30 minutes'
  WHERE job_id = 'trend' AND seq < 6;
END
$$;
CREATE FUNCTION pg_temp.trend(since timestamptz) RETURNS bigint[] LANGUAGE sql RETURN (
  SELECT g.trend FROM tallymark.error_groups(since, 1, 'trend') AS g);

SELECT is((pg_temp.trend(NULL))[1:4], '{2,2,1,0}'::bigint[], 'the oldest first');
SELECT is((pg_temp.trend(NULL))[24], 1::bigint, 'now is in the last one');
SELECT is(cardinality(pg_temp.trend(NULL)), 24, 'there are 24');
SELECT is((SELECT sum(n) FROM unnest(pg_temp.trend(now() - interval '7 days')) AS n), 6::numeric, 'none is lost');
SELECT is((SELECT sum(n) FROM unnest(pg_temp.trend('-infinity')) AS n), 6::numeric,
  'also where since is minus infinity');
SELECT is(tallymark.errors_page(NULL, 1, 'trend') #> '{errors,0,trend}', to_jsonb(pg_temp.trend(NULL)), 'as JSON');
SELECT is((SELECT (p ->> 'until')::timestamptz - (p ->> 'since')::timestamptz FROM tallymark.errors_page() AS p),
  interval '1 day', 'which has since and until');

SELECT * FROM finish();
ROLLBACK;
