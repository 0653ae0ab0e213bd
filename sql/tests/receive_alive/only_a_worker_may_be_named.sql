-- A body is {"workerId"} or {}; anything else is refused like the body of any other call.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(8);

DO $$ BEGIN PERFORM tallymark.create_job('job'); END $$;
SELECT is(tallymark.receive_alive(b::jsonb, 'job'), '{"command": null}', b)
FROM unnest(ARRAY['{}', '{"workerId": "w1"}', '{"workerId": null}', '{"other": 1}']) AS b;
SELECT throws_ok(format('SELECT tallymark.receive_alive(%L, ''job'')', b), 'TK400', NULL, b)
FROM unnest(ARRAY['[]', '{"workerId": 7}', '{"workerId": ""}']) AS b;
SELECT throws_ok($$ SELECT tallymark.receive_alive('{}', 'no such job') $$, 'TK404', NULL, 'an unknown job');

SELECT * FROM finish();
ROLLBACK;
