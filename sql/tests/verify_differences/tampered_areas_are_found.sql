-- Where anything in the rows of a job's areas was changed, verify_job is false and verify_differences names the area.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(15);
\ir ../helpers.psql

DO $$
BEGIN
  PERFORM tallymark.create_job('job'), tallymark.create_job('other');
  PERFORM tallymark.merge_progress(j.id, '{"timestamp": "2025-01-06T10:00:00Z", "areas": [
    {"fullPath": "g/é", "type": "group", "name": "n"}, {"fullPath": "p", "type": "project"}]}')
  FROM unnest('{job,other}'::text[]) AS j (id);
END
$$;
SELECT is(pg_temp.differences('SELECT'), 'true', 'as they are, the areas are what the ledger says');
SELECT is(pg_temp.differences('UPDATE tallymark.job_area SET ' || c.change ||
  $$ WHERE job_id = 'job' AND full_path = 'g/é' $$),
  'false ' || c.fields, c.change)
FROM (VALUES (1, $$details = details || '{"name": "m"}'$$, 'areas: g/é'), (2, $$details = details || '{"more": null}'$$,
  'areas: g/é'),
  (3, $$details = details - 'name'$$, 'areas: g/é'), (4, $$details = details || '{"type": "project"}'$$, 'areas: g/é'),
  (5, $$clocks = '{}'$$, 'areas: g/é'), (6, $$clocks = clocks || '{"name": [1, "=a"]}'$$, 'areas: g/é'),
  (7, $$discovered_at = discovered_at + '1 microsecond'$$, 'areas: g/é'), (8, $$full_path = 'g/e'$$,
    'areas: g/e, areas: g/é'),
  (9, $$job_id = 'third'$$, 'areas: g/é')) AS c (number, change, fields) ORDER BY c.number;
SELECT is(pg_temp.differences($$ DELETE FROM tallymark.job_area WHERE job_id = 'job' $$), 'false areas: g/é, areas: p',
  'areas that were deleted');
SELECT is(pg_temp.differences($$ INSERT INTO tallymark.job_area VALUES ('job', 'x', '{"type": "x"}', '{}', now()) $$),
  'false areas: x',
  'an area that nobody discovered');
SELECT
  is(pg_temp.differences($$ UPDATE tallymark.job SET progress = jsonb_set(progress, '{itemsByType,groups}', '2') WHERE
  id = 'job' $$),
  'false itemsByType', 'a count that is not that of the areas');
SELECT is(pg_temp.differences($$ DELETE FROM tallymark.job_area WHERE job_id = 'other' $$), 'true',
  'the areas of other jobs do not matter');
SELECT
  is(pg_temp.differences($$ UPDATE tallymark.job_event SET payload = jsonb_set(payload, '{areas,0,name}', '"x"') WHERE
  job_id = 'job' $$),
  'false areas: g/é', 'areas in the ledger that were changed');

SELECT * FROM finish();
ROLLBACK;
