-- Each kind has a text for its beginning and one for its end, and no text has a gap.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(12);

CREATE TEMPORARY VIEW texts AS
SELECT k.kind, r.recovered, tallymark.alert_text(jsonb_populate_record(NULL::tallymark.alert, jsonb_build_object(
  'job_id', 'j', 'kind', k.kind, 'opened_at', '2025-01-06T10:00:00Z', 'recovered_at', '2025-01-06T11:00:00Z',
  'facts', k.facts)), r.recovered) AS text
FROM (VALUES
  ('stalled', '{"since": "2025-01-06T09:00:00.000Z", "allowedSeconds": 90, "said": "100% %s",
    "summary": "5 items"}'::jsonb),
  ('failed', '{"since": "2025-01-06T09:00:00.000Z", "said": null, "summary": null}'),
  ('shortfall', '{"since": "2025-01-06T09:00:00.000Z", "said": "bye", "summary": "3/10 items (30%)",
    "shortfall": {"a": 1, "notes": 7, "b": 1, "c": 1, "d": 1, "e": 1, "f": 1}}'),
  ('credentials', '{"since": "2025-01-06T09:00:00.000Z", "status": "credential_expired", "said": "It was revoked.",
    "guidance": "Renew it."}'),
  ('errors', '{"since": "2025-01-06T09:00:00.000Z", "errors": 12, "withinSeconds": 300, "said": "boom"}'),
  ('unusual', '{"since": "2025-01-06T09:00:00.000Z", "series": "s", "runs": 10, "items": 4, "usual": 12.5, "lowest": 9,
    "elapsedSeconds": 60.4}'),
  ('missed', '{"since": "2025-01-06T09:00:00.000Z", "series": "s", "dueAt": "2025-01-06T08:00:00.000Z",
    "lastStartedAt": "2025-01-05T08:00:00.000Z", "everySeconds": 86400}'),
  ('mismatch', '{"since": "2025-01-06T09:00:00.000Z", "difference": {"seq": 7, "field": "status"}}')
  ) AS k (kind, facts),
  unnest(ARRAY[false, true]) AS r (recovered);

SELECT is_empty($$SELECT kind, recovered FROM texts WHERE length(text) < 20 OR text IS NULL$$, 'each says something');
SELECT is_empty($$SELECT kind, text FROM texts WHERE NOT recovered AND text NOT LIKE '%2025-01-06T09:00:00.000Z%'$$,
  'each says since when');
SELECT is(text, 'The job has had no update since 2025-01-06T09:00:00.000Z; by its habit one was due within 90 s. '
  'There has been no sign of life since 2025-01-06T09:00:00.000Z. Check whether its crawler is running and can reach '
  'the server. Its progress was 5 items.' || E'\n100% %s',
  'what the crawler said is not used as a format') FROM texts WHERE kind = 'stalled' AND NOT recovered;
SELECT is(text, 'The job reported completed at 2025-01-06T09:00:00.000Z, but these are missing: 7 notes, 1 a, 1 b, 1 c, 1 d '
  'and those of 2 more types. Look for what its crawler left out; it should report what failed or was skipped. Its progress '
  'was 3/10 items (30%).' || E'\nbye', 'what is missing, the most first') FROM texts WHERE kind = 'shortfall' AND NOT recovered;
SELECT is(text, 'Nothing is missing from the job any more, or it was restarted or deleted. The alert was opened at '
  '2025-01-06T10:00:00.000Z and closed at 2025-01-06T11:00:00.000Z.', 'that it is over')
FROM texts WHERE kind = 'shortfall' AND recovered;
SELECT is(text, 'The job has been waiting for credentials since 2025-01-06T09:00:00.000Z.' || E'\nIt was revoked.\nRenew it.',
  'the crawler''s own message, then what to do') FROM texts WHERE kind = 'credentials' AND NOT recovered;
SELECT is(text, 'At 2025-01-06T09:00:00.000Z, 60 s after its start, the job had 4 items. Each of the 10 runs before it had '
  'at least 9 by then, and the median 12.5. Look at what is missing, and whether its source has changed.',
  'how far behind the other runs it is') FROM texts WHERE kind = 'unusual' AND NOT recovered;
SELECT is(text, 'The next run of the series s was due at 2025-01-06T08:00:00.000Z, and counts as missed since '
  '2025-01-06T09:00:00.000Z. This job, its last run, started at 2025-01-05T08:00:00.000Z. Check what starts the runs.',
  'which run is missing') FROM texts WHERE kind = 'missed' AND NOT recovered;
SELECT ok(text LIKE '%12 errors%' AND text LIKE '%boom', 'it has the number of errors and the last one') FROM texts
WHERE kind = 'errors' AND NOT recovered;

SELECT is(tallymark.alert_text(jsonb_populate_record(NULL::tallymark.alert, jsonb_build_object('kind', 'stalled',
  'facts', f.facts)), false), f.says, f.what)
FROM (VALUES
  ('{"since": "2025-01-06T09:00:00.000Z", "allowedSeconds": 90, "state": "stuck", "aliveAt": "2025-01-06T09:59:30.000Z"}'::jsonb,
    'The job is alive, no progress: the last sign of life came at 2025-01-06T09:59:30.000Z, the last update at '
    '2025-01-06T09:00:00.000Z. By its habit an update was due within 90 s. Look for what blocks its crawler.',
    'a stuck job'),
  ('{"since": "2025-01-06T09:00:00.000Z", "allowedSeconds": 90, "state": "silent", "aliveAt": "2025-01-06T09:30:00.000Z",
    "waitUntil": "2025-01-06T09:20:00.000Z", "reason": "rate limit"}',
    'The job has had no update since 2025-01-06T09:00:00.000Z; by its habit one was due within 90 s after the end of its '
    'wait at 2025-01-06T09:20:00.000Z (rate limit). There has been no sign of life since 2025-01-06T09:30:00.000Z. Check '
    'whether its crawler is running and can reach the server.',
    'a job that is silent since its wait'),
  ('{"since": "2025-01-06T09:00:00.000Z", "allowedSeconds": 3600, "state": "never_reported"}',
    'The job was registered at 2025-01-06T09:00:00.000Z, and no crawler has reported on it within 3600 s. Check whether '
    'its crawler was started with this id, the right address and a token that may write.',
    'a job that was never reported on')) AS f (facts, says, what);

SELECT * FROM finish();
ROLLBACK;
