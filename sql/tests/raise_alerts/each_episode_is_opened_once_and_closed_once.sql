-- Over many rounds a condition opens one alert, its end closes it, and a condition that comes back opens another.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(15);
\ir ../helpers.psql

-- What else is wrong in a database in use is noticed first.
CREATE TEMPORARY TABLE others AS SELECT (tallymark.raise_alerts() -> 'open')::integer AS open;
-- What raise_alerts says, without the alerts that are open anyway.
CREATE FUNCTION pg_temp.raised(max_age interval DEFAULT '1 day') RETURNS jsonb LANGUAGE sql AS $$
  SELECT jsonb_set(r, '{open}', to_jsonb((r -> 'open')::integer - o.open))
  FROM others AS o, tallymark.raise_alerts(max_age) AS r
$$;
DO $$
BEGIN
  PERFORM tallymark.create_job(id), tallymark.merge_progress(id, '{"updateId": "1", "message": "m"}')
  FROM unnest('{silent,failing,expired,erring,wrong,gone}'::text[]) AS j (id);
  PERFORM tallymark.merge_progress(id, '{"updateId": "f", "status": "failed"}')
  FROM unnest('{failing,gone}'::text[]) AS j (id);
  PERFORM tallymark.merge_progress('expired', '{"updateId": "e", "status": "credential_expiry"}');
  PERFORM tallymark.merge_progress('erring', jsonb_build_object('error', 'boom ' || n))
  FROM generate_series(1, 10) AS n;
  PERFORM pg_temp.move('job', 'updated_at', '-2 hours', $c$id = 'silent'$c$);
  PERFORM pg_temp.move('job_event', 'recorded_at', '-2 hours', $c$job_id = 'silent'$c$);
  UPDATE tallymark.job SET progress = progress || '{"message": "n"}' WHERE id = 'wrong';
  PERFORM tallymark.note_verification('wrong');
END
$$;
SELECT is(pg_temp.raised(), '{"open": 6, "opened": 6, "recovered": 0}', 'all are noticed');
SELECT is(pg_temp.raised(), '{"open": 6, "opened": 0, "recovered": 0}', 'and nothing more the next time');
UPDATE tallymark.job SET updated_at = updated_at, started_at = started_at WHERE id = 'silent';
SELECT is(pg_temp.raised('1 minute'), '{"open": 6, "opened": 0, "recovered": 0}',
  'a condition older than max_age keeps its alert open');

SELECT tallymark.merge_progress('silent', '{"updateId": "2"}');
SELECT tallymark.merge_progress('failing', '{"updateId": "2", "status": "started"}');
SELECT tallymark.merge_progress('expired', '{"updateId": "2", "status": "credential_renewal"}');
SELECT is(pg_temp.raised(), '{"open": 4, "opened": 0, "recovered": 2}', 'two are over, one still waits');
SELECT tallymark.merge_progress('expired', '{"updateId": "3", "status": "credential_resumed"}');
SELECT pg_temp.move('job_event', 'recorded_at', '-10 minutes', $c$job_id = 'erring' AND seq <= 5$c$);
SELECT is(pg_temp.raised(), '{"open": 3, "opened": 0, "recovered": 1}', 'of ten errors six are left: not over');
SELECT pg_temp.move('job_event', 'recorded_at', '-10 minutes', $c$job_id = 'erring' AND seq = 6$c$);
SELECT is(pg_temp.raised(), '{"open": 2, "opened": 0, "recovered": 1}', 'with half of them it is over');
UPDATE tallymark.job SET progress = progress || '{"message": "m"}' WHERE id = 'wrong';
SELECT is(pg_temp.raised(), '{"open": 2, "opened": 0, "recovered": 0}',
  'repaired, but not verified yet: still open');
SELECT is(tallymark.note_verification('wrong'), true, 'it verifies');
SELECT is(pg_temp.raised(), '{"open": 1, "opened": 0, "recovered": 1}', 'so it is over');
SELECT tallymark.delete_job('gone');
SELECT is(pg_temp.raised(), '{"open": 0, "opened": 0, "recovered": 1}', 'an alert of a deleted job is over');

SELECT tallymark.merge_progress('failing', '{"updateId": "3", "status": "failed"}');
SELECT is(pg_temp.raised(), '{"open": 1, "opened": 1, "recovered": 0}', 'it failed again: another episode');
SELECT tallymark.merge_progress('failing', '{"updateId": "4", "status": "started"}');
SELECT tallymark.merge_progress('failing', '{"updateId": "5", "status": "failed"}');
SELECT is(pg_temp.raised(), '{"open": 1, "opened": 1, "recovered": 1}',
  'restarted and failed between two rounds');
SELECT tallymark.merge_progress('failing', '{"updateId": "6", "status": "failed", "message": "once more"}');
SELECT is(pg_temp.raised(), '{"open": 1, "opened": 0, "recovered": 0}',
  'a failure that is reported twice is one episode');
SELECT is(count(*), 3::bigint, 'three episodes') FROM tallymark.list_alerts(false) WHERE job_id = 'failing';
SELECT is(count(*), 1::bigint, 'one of which the view shows') FROM tallymark.current_alerts WHERE job_id = 'failing';

SELECT * FROM finish();
ROLLBACK;
