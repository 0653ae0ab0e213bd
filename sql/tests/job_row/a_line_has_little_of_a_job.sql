-- A row of an overview is short however large the job is, and has the same members for every job.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(8);
\ir ../helpers.psql

DO $$
BEGIN
  PERFORM tallymark.create_job(id) FROM unnest('{new,busy,text}'::text[]) AS id;
  PERFORM tallymark.merge_progress('busy', jsonb_build_object('processedItems', 150, 'totalItems', 500,
    'currentDataType', 'issues', 'stage', 's', 'operationType', 'discovery', 'itemsByType',
    '{"issues": 1, "mr": 2}'::jsonb, 'message', repeat('m', 1000), 'extra', repeat('x', 100000), 'credentialStatus', '{"status": "ok"}'::jsonb,
    'error', jsonb_build_object('type', repeat('t', 1000), 'message', repeat('e', 1000))));
  PERFORM tallymark.merge_progress('text', '{"error": "went wrong"}');
  PERFORM tallymark.request_command('busy', 'pause');
END
$$;
CREATE FUNCTION pg_temp.line(id text) RETURNS jsonb LANGUAGE sql
RETURN tallymark.job_row(pg_temp.row_of(id));

SELECT ok(pg_temp.line('busy') @> '{"id": "busy", "status": "running", "percentage": 30, "summary":
  "150/500 items (30%)", "stage": "s", "operationType": "discovery", "processedItems": 150, "totalItems": 500,
  "itemTypes": 2, "credentialStatus": {"status": "ok"}, "command": "pause", "lastSeq": 2, "finishedAt": null}',
  'what a line shows');
SELECT is(pg_temp.line('busy') -> 'error', jsonb_build_object('type', repeat('t', 200), 'message', repeat('e', 200)),
  'an error is cut');
SELECT is(pg_temp.line('text') -> 'error', '{"type": null, "message": "went wrong"}', 'it may be a mere text');
SELECT cmp_ok(octet_length(pg_temp.line('busy')::text), '<', 1200, 'and all is short');
SELECT ok(pg_temp.line('new') @> '{"status": "queued", "percentage": null, "summary": "0 items", "stage": null,
  "processedItems": null, "totalItems": null, "itemTypes": 0, "credentialStatus": null, "command": null, "error": null,
  "lastSeq": 0, "startedAt": null, "finishedAt": null}', 'a job that nobody has reported on');
SELECT is((SELECT array_agg(k ORDER BY k) FROM jsonb_object_keys(pg_temp.line('new')) AS k),
  (SELECT array_agg(k ORDER BY k) FROM jsonb_object_keys(pg_temp.line('busy')) AS k), 'has the same members');
SELECT is(pg_temp.line('new') ->> 'createdAt', tallymark.get_job('new') ->> 'createdAt', 'times as everywhere');
SELECT is(pg_temp.line('busy') ->> 'updatedAt', tallymark.get_job('busy') ->> 'updatedAt', 'by the same clocks');

SELECT * FROM finish();
ROLLBACK;
