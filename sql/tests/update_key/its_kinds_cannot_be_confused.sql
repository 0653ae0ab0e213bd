-- An updateId cannot be made to look like the digest of another update, nor a digest like an updateId.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(7);

CREATE FUNCTION pg_temp.key_of(payload jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_job CONSTANT text := gen_random_uuid()::text;
BEGIN
  PERFORM tallymark.create_job(v_job);
  PERFORM tallymark.merge_progress(v_job, payload);
  RETURN (SELECT e.update_key FROM tallymark.job_event AS e WHERE e.job_id = v_job);
END
$$;

SELECT is(pg_temp.key_of('{"updateId": "u 1"}'), '=u 1', 'an updateId is its own key');
SELECT is(pg_temp.key_of('{"updateId": "#00"}'), '=#00', 'also one that looks like a digest');
SELECT matches(pg_temp.key_of('{"timestamp": "2025-01-06T10:00:00Z"}'), '^#[0-9a-f]{32}$', 'a digest has 128 bits');
SELECT is(pg_temp.key_of('{"timestamp": "2025-01-06T10:00:00Z", "processed": 5, "x": "y"}'),
  '#' || left(encode(sha256(convert_to('{"timestamp": "2025-01-06T10:00:00Z", "processed": 5, "x": "y"}'::jsonb::text,
    'UTF8')), 'hex'), 32),
  'it is of the update as it came, which a retry repeats');
SELECT isnt(pg_temp.key_of('{"timestamp": "2025-01-06T10:00:00Z", "stage": "a"}'),
  pg_temp.key_of('{"timestamp": "2025-01-06T10:00:00Z", "stage": "b"}'), 'other content, another digest');
SELECT is(pg_temp.key_of('{"timestamp": "2025-01-06T10:00:00Z"}'),
  pg_temp.key_of('{"timestamp": "2025-01-06T10:00:00Z"}'),
  'the same content has the same digest on every job');
SELECT isnt(pg_temp.key_of('{"stage": "a"}'), pg_temp.key_of('{"stage": "a"}'),
  'with neither, no two keys are the same');

SELECT * FROM finish();
ROLLBACK;
