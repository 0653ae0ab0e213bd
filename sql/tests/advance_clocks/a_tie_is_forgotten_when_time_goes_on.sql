-- A tie that a terminal status won matters for that instant only: at a later one the larger key wins again, and the
-- state keeps no trace of the tie.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(4);

CREATE FUNCTION pg_temp.send(job text, VARIADIC updates text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_update text;
BEGIN
  PERFORM tallymark.create_job(job);
  FOREACH v_update IN ARRAY updates LOOP
    PERFORM tallymark.merge_progress(job, jsonb_build_object('timestamp', '2025-01-06T10:0' || left(v_update, 1)
      || ':00Z',
      'updateId', split_part(v_update, ' ', 2), 'status', split_part(v_update, ' ', 3)));
  END LOOP;
END
$$;
DO $$
BEGIN
  PERFORM pg_temp.send('in order', '0 x completed', '0 y processing', '1 a processing', '1 b paused');
  PERFORM pg_temp.send('backwards', '1 b paused', '1 a processing', '0 y processing', '0 x completed');
END
$$;
SELECT is(status, 'paused', 'of two running ones the larger key wins, whatever won before') FROM tallymark.job
WHERE id = 'in order';
SELECT is(status, 'paused', 'also when they arrive in reverse order') FROM tallymark.job WHERE id = 'backwards';
SELECT is(clocks ? 'status', false, 'nothing is left of the tie') FROM tallymark.job WHERE id = 'in order';
SELECT is(count(DISTINCT to_jsonb(j) - '{id,created_at,updated_at}'::text[]), 1::bigint, 'the two states are one')
FROM tallymark.job AS j WHERE j.id IN ('in order', 'backwards');

SELECT * FROM finish();
ROLLBACK;
