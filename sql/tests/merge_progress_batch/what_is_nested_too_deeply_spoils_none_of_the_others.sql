-- PostgreSQL reads JSON that is nested more deeply than it can process afterwards. Only such an update is refused, in a
-- batch, too.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(3);

DO $$ BEGIN PERFORM tallymark.create_job('job'); END $$;
CREATE TEMPORARY TABLE result AS
SELECT d.depth, tallymark.merge_progress_batch(jsonb_build_array('{"taskId": "job"}'::jsonb,
  jsonb_build_object('taskId', 'job', 'x', (repeat('[', d.depth) || repeat(']', d.depth))::jsonb))) AS results
FROM unnest('{900,1100,6000}'::integer[]) AS d (depth);
SELECT is(array_agg(r.results #>> '{0,status}' ORDER BY r.depth), '{received,received,received}',
  'what is beside it is taken')
FROM result AS r;
SELECT is(array_agg(r.results #>> '{1,status}' ORDER BY r.depth), '{received,400,400}', 'it is refused') FROM result AS r;
SELECT is(r.results #>> '{1,details,0,problem}', 'must be nested at most 1000 levels deep', 'for what it is')
FROM result AS r WHERE r.depth = 6000;

SELECT * FROM finish();
ROLLBACK;
