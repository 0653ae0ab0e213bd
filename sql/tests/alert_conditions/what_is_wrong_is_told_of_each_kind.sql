-- There is one job for each kind, and some healthy jobs. What began long ago is left out.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(10);
\ir ../helpers.psql

DO $$
BEGIN
  PERFORM tallymark.create_job(id)
  FROM unnest('{well,silent,long silent,failed,failed long ago,short,complete,short long ago,expired,brief,erring,wrong}'::text[]) AS j (id);
  PERFORM tallymark.merge_progress(id, '{"message": "page 7", "processedItems": 5, "totalItems": 10}')
  FROM unnest('{well,silent,long silent,wrong}'::text[]) AS j (id);
  PERFORM tallymark.merge_progress('failed', '{"status": "failed", "error": {"type": "E", "message": "no answer"}}');
  PERFORM tallymark.merge_progress('failed long ago', '{"status": "failed", "timestamp": "2025-01-06T10:00:00Z"}');
  PERFORM tallymark.merge_progress(j.id, jsonb_build_object('status', 'completed', 'message', 'bye', 'timestamp', j.at,
    'totalsByType', jsonb_build_object('a', 10), 'itemsByType', jsonb_build_object('a', j.done)))
  FROM (VALUES ('short', 3, NULL), ('complete', 10, NULL), ('short long ago', 3, '2025-01-06T10:00:00Z')) AS j (id, done, at);
  PERFORM tallymark.merge_progress('expired', '{"status": "credential_expiry", "message": "stopped", "credentialStatus":
    {"message": "token of gitlab.example was revoked", "adminGuidance": ["Ask the owner."]}}');
  PERFORM tallymark.merge_progress('brief', '{"status": "credential_expiry", "message": "401 from the server"}');
  PERFORM tallymark.merge_progress('erring', jsonb_build_object('error', 'boom ' || n))
  FROM generate_series(1, 10) AS n;
  PERFORM tallymark.merge_progress('well', '{"error": "once"}');
  PERFORM pg_temp.move('job', 'updated_at', '-2 hours', $c$id IN ('silent', 'long silent')$c$);
  PERFORM pg_temp.move('job_event', 'recorded_at', '-2 hours', $c$job_id IN ('silent', 'long silent')$c$);
  PERFORM pg_temp.move('job', 'updated_at', '-2 days', $c$id IN ('failed long ago', 'short long ago')$c$);
  PERFORM pg_temp.move('job', 'updated_at', '-2 days', $c$id = 'long silent'$c$);
  PERFORM pg_temp.move('job_event', 'recorded_at', '-2 days', $c$job_id = 'long silent'$c$);
  UPDATE tallymark.job SET progress = progress || '{"processedItems": 6}' WHERE id = 'wrong';
  PERFORM tallymark.note_verification(id) FROM unnest('{well,wrong}'::text[]) AS j (id);
END
$$;
CREATE TEMPORARY VIEW found AS SELECT * FROM tallymark.alert_conditions()
WHERE job_id IN ('well', 'short', 'complete', 'short long ago', 'silent', 'long silent', 'failed', 'failed long ago', 'expired', 'brief', 'erring', 'wrong');
SELECT set_eq('SELECT job_id, kind FROM found',
  $$VALUES ('silent', 'stalled'), ('failed', 'failed'), ('short', 'shortfall'), ('expired', 'credentials'), ('brief', 'credentials'),
    ('erring', 'errors'),
    ('wrong', 'mismatch')$$, 'each kind once, and no other');
SELECT is(facts - 'since', '{"said": "page 7", "state": "silent", "summary": "5/10 items (50%)", "allowedSeconds": 900}',
  'the facts of a stalled job') FROM found WHERE kind = 'stalled';
SELECT is(facts ->> 'said', 'no answer', 'the facts of a failed job') FROM found WHERE kind = 'failed';
SELECT is(facts - '{since,seq}'::text[], '{"said": "bye", "summary": "3/10 a (30%)", "shortfall": {"a": 7}}',
  'what is missing from a finished job') FROM found WHERE kind = 'shortfall';
SELECT is(facts - 'since', '{"status": "credential_expired", "said": "token of gitlab.example was revoked",
  "guidance": "Ask the owner."}', 'what the crawler said about its credentials, and what to do')
FROM found WHERE job_id = 'expired';
SELECT is(facts ->> 'said', '401 from the server', 'or what it said otherwise') FROM found WHERE job_id = 'brief';
SELECT is(facts - 'since', '{"said": "boom 10", "errors": 10, "withinSeconds": 300}',
  'the number of errors, and the last one')
FROM found WHERE kind = 'errors';
SELECT is(facts #>> '{difference,field}', 'processedItems', 'the difference') FROM found WHERE kind = 'mismatch';
SELECT set_eq($$SELECT job_id FROM tallymark.alert_conditions('3 days')
  WHERE kind = 'stalled' AND job_id LIKE '%silent'$$,
  $$VALUES ('silent'), ('long silent')$$, 'with a longer max_age both silent jobs are listed');
SELECT is_empty($$SELECT job_id FROM tallymark.alert_conditions(most_errors => 11) WHERE job_id = 'erring'$$,
  'ten errors are fewer than eleven');

SELECT * FROM finish();
ROLLBACK;
