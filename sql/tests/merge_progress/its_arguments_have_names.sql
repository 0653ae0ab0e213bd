-- Public functions can be called by the names of their arguments, and optional arguments can be left out.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(11);

SELECT is(tallymark.create_job(job_id => 'job') ->> 'id', 'job', 'create_job(job_id)');
SELECT is(tallymark.create_job(attributes => '{"a": 1}', job_id => 'job 2') -> 'attributes', '{"a": 1}',
  'create_job(job_id, attributes)');
SELECT is(tallymark.merge_progress(payload => '{"processedItems": 1}', job_id => 'job') -> 'seq', '1',
  'merge_progress(job_id, payload)');
SELECT is(tallymark.get_job(job_id => 'job') -> 'lastSeq', '1', 'get_job(job_id)');
SELECT is(jsonb_array_length(tallymark.get_job(job_id => 'job', timeline_limit => 0) #> '{progress,timeline}'), 0,
  'get_job(job_id, timeline_limit)');
SELECT is(count(*), 1::bigint, 'timeline(job_id)') FROM tallymark.timeline(job_id => 'job');
SELECT is(count(*), 0::bigint, 'timeline(job_id, after_seq, max_events)')
FROM tallymark.timeline(job_id => 'job', after_seq => 1, max_events => 5);
SELECT is(tallymark.timeline_page(job_id => 'job', after_seq => 1) -> 'events', '[]',
  'timeline_page(job_id, after_seq)');
SELECT ok(tallymark.verify_job(job_id => 'job'), 'verify_job(job_id)');
SELECT is(count(*), 0::bigint, 'verify_differences(job_id)') FROM tallymark.verify_differences(job_id => 'job');
SELECT is(tallymark.job_status(update_status => 'paused') || tallymark.progress_summary(progress => '{}'),
  'paused0 items',
  'job_status(update_status), progress_summary(progress)');

SELECT * FROM finish();
ROLLBACK;
