-- The SQLSTATE of a refusal gives its kind, the message what the wire protocol answers, and the detail all problems as
-- JSON.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(13);

CREATE FUNCTION pg_temp.refusal(job text, payload jsonb) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  v_message text;
  v_detail text;
BEGIN
  PERFORM tallymark.merge_progress(job, payload);
  RETURN '{taken}';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS v_message = MESSAGE_TEXT, v_detail = PG_EXCEPTION_DETAIL;
  RETURN ARRAY[SQLSTATE, v_message, v_detail];
END
$$;
DO $$ BEGIN PERFORM tallymark.create_job('job'); END $$;

SELECT is((pg_temp.refusal(c.job, c.payload))[1:2], ARRAY[c.code, c.message], c.words)
FROM (VALUES
  (1, 'job', '[]'::jsonb, 'TK400', 'Invalid request body', 'an array'),
  (2, 'job', '"x"', 'TK400', 'Invalid request body', 'a text'),
  (3, 'job', 'null', 'TK400', 'Invalid request body', 'the JSON null'),
  (4, 'job', NULL, 'TK400', 'Invalid request body', 'the SQL null'),
  (5, 'job', '{"status": "done"}', 'TK400', 'Invalid status: done', 'a status that is not known'),
  (6, 'job', '{"status": "done", "stage": 5}', 'TK400', 'Invalid status: done', 'and another problem beside it'),
  (7, 'job', '{"stage": 5}', 'TK400', 'Invalid progress payload', 'any other bad field'),
  (8, 'no such job', '{}', 'TK404', 'Job not found', 'an unknown job'),
  (9, 'no such job', '{"stage": 5}', 'TK400', 'Invalid progress payload', 'an unknown job and a bad field'),
  (10, 'job', jsonb_build_object('x', repeat('y', 1048576)), 'TK413', 'Progress payload too large',
    'more than a mebibyte'))
  AS c (number, job, payload, code, message, words)
ORDER BY c.number;
SELECT is((pg_temp.refusal('job', '{"itemsByType": {"issues": -1}}'))[3]::jsonb,
  '[{"field": "itemsByType.issues", "problem": "must be a whole number from 0 to 9007199254740991"}]',
  'the detail is a JSON array of field and problem');
SELECT is(pg_temp.refusal('job', jsonb_build_object('x', repeat('y', 1048576 - 9))), '{taken}',
  'exactly a mebibyte is accepted');
SELECT alike((pg_temp.refusal('no such job', '{}'))[3], '%no such job%', 'the detail names an unknown job');

SELECT * FROM finish();
ROLLBACK;
