-- The header Idempotency-Key is used as updateId where the body has none.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(8);

CREATE FUNCTION pg_temp.received(more jsonb, header text) RETURNS text LANGUAGE sql
RETURN (tallymark.receive_progress('{"taskId": "job", "status": "processing", "timestamp": "2025-01-06T10:00:00Z",
  "itemsByType": {"issues": 1}}' || more, header)) ->> 'duplicate';
DO $$ BEGIN PERFORM tallymark.create_job('job'); END $$;

SELECT is(pg_temp.received('{}', 'k1'), 'false', 'a header, the first time');
SELECT is(pg_temp.received('{}', 'k1'), 'true', 'and again');
SELECT is(pg_temp.received('{}', 'k2'), 'false', 'with another header the same body is another update');
SELECT is(pg_temp.received('{"updateId": "k2"}', NULL), 'true', 'the header and the body''s updateId are one thing');
SELECT is(pg_temp.received('{"updateId": "k3"}', 'k1'), 'false', 'where both are given the body''s stands');
SELECT is(pg_temp.received('{"updateId": null}', 'k3'), 'true', 'unless it is null');
SELECT throws_ok($$ SELECT pg_temp.received('{}', repeat('k', 256)) $$, 'TK400', NULL,
  'a header of 256 characters is refused');
SELECT is(progress #> '{itemsByType,issues}', '3', 'three were counted') FROM tallymark.job WHERE id = 'job';

SELECT * FROM finish();
ROLLBACK;
