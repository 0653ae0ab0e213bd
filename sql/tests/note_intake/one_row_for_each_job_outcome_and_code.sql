-- However often a crawler is refused, there is one row for it, with how often, since when and the last problem.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(13);

DO $$ BEGIN PERFORM tallymark.create_job('N one'); PERFORM tallymark.create_job('N two'); END $$;
UPDATE tallymark.job SET created_at = '2025-01-01' WHERE id LIKE 'N %';
CREATE FUNCTION pg_temp.noted() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  RETURN (
  SELECT string_agg(concat_ws(' ', i.job_id, i.outcome, i.code, i.times, i.last_problem), '; '
    ORDER BY i.job_id, i.outcome, i.code) FROM tallymark.job_intake AS i WHERE i.job_id LIKE 'N %');
END
$$;

SELECT is(tallymark.note_intake('[
  {"jobId": "N one", "outcome": "refused", "code": "TK400", "at": "2025-01-06T10:00:00Z", "problem": "a"},
  {"jobId": "N one", "outcome": "refused", "code": "TK400", "times": 4, "at": "2025-01-06T12:00:00Z", "problem": "b"},
  {"jobId": "N one", "outcome": "duplicate", "times": 2, "at": "2025-01-06T11:00:00Z"},
  {"jobId": "N none", "outcome": "refused", "code": "TK404"},
  {"jobId": "N two", "outcome": "accepted"}]'), 3::bigint, 'entries of registered jobs are counted');
SELECT is(pg_temp.noted(), 'N one duplicate  2; N one refused TK400 5 b', 'and summed');
SELECT is(tallymark.note_intake('[
  {"jobId": "N one", "outcome": "refused", "code": "TK400", "at": "2025-01-06T11:00:00Z", "problem": "c"},
  {"jobId": "N one", "outcome": "duplicate", "times": 3, "at": "2025-01-06T12:00:00Z", "problem": "d"}]'), 2::bigint,
  'later entries are added');
SELECT is(pg_temp.noted(), 'N one duplicate  5 d; N one refused TK400 6 b', 'the newest problem stays');
SELECT is(tallymark.note_intake('[{"jobId": "N one", "outcome": "duplicate", "at": "2025-01-06T13:00:00Z"}]'),
  1::bigint, 'one without a problem');
SELECT is(pg_temp.noted(), 'N one duplicate  6 d; N one refused TK400 6 b', 'takes none away');
SELECT is((SELECT i.first_at || ' ' || i.last_at FROM tallymark.job_intake AS i WHERE i.outcome = 'refused'
    AND i.job_id = 'N one'), timestamptz '2025-01-06 10:00Z' || ' ' || timestamptz '2025-01-06 12:00Z',
  'from the first to the last');
SELECT is(tallymark.note_intake(jsonb_build_array(jsonb_build_object('jobId', 'N two', 'outcome', 'refused',
  'code', repeat('x', 100), 'times', 1e300, 'at', '9999-01-01T00:00:00Z', 'problem', repeat('ü', 2000)))), 1::bigint,
  'values that are too large or too long');
SELECT is((SELECT concat_ws(' ', length(i.code), i.times, length(i.last_problem), i.last_at <= clock_timestamp())
  FROM tallymark.job_intake AS i WHERE i.job_id = 'N two'), '64 1000000000 500 t', 'are cut to their limits');
SELECT is(tallymark.note_intake(e.entries), 0::bigint, coalesce(e.entries::text, 'null') || ' is nothing')
FROM (VALUES (1, '[]'::jsonb), (2, '{}'), (3, '["x", null, 1, {"jobId": {}, "outcome": "refused"}]'), (4, NULL))
  AS e (number, entries) ORDER BY e.number;

SELECT * FROM finish();
ROLLBACK;
