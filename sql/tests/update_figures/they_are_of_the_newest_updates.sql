-- The figures are those of the newest updates, by worker. Commands and a crawler's own events do not count.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(10);
\ir ../helpers.psql

INSERT INTO tallymark.job (id, status, last_seq) VALUES ('F job', 'running', 8), ('F none', 'queued', 0);
INSERT INTO tallymark.job_event (job_id, seq, event, occurred_at, recorded_at, payload)
SELECT 'F job', u.seq, u.event, timestamptz '2025-01-06 10:00Z' + u.seq * interval '1 s',
  timestamptz '2025-01-06 10:00Z' + u.seq * interval '1 s', u.payload
FROM (VALUES
  (1, 'x', '{"processedItems": 1000, "itemsByType": {"issues": 500}}'::jsonb),
  (2, 'x', '{"processedItems": 10, "itemsByType": {"issues": 5}, "timestamp": "2025-01-06T10:00:12Z"}'),
  (3, 'x', '{"processedItems": 90, "workerId": "w", "itemsByType": {"issues": 9}, "counting": "cumulative"}'),
  (4, 'x', '{"processedItems": 30, "itemsByType": {"issues": 5, "users": 1}, "status": "STARTED"}'),
  (5, 'command_requested', NULL),
  (6, 'error', '{"processedItems": 20, "itemsByType": {"issues": 2}, "error": "no"}'),
  (7, 'x', '7'),
  (8, 'x', jsonb_build_object('progress', repeat('x', 20000)))) AS u (seq, event, payload);
SELECT pg_temp.move('job_event', 'occurred_at', '-1 min', $c$job_id = 'F job' AND seq = 8$c$);
INSERT INTO tallymark.job (id, status, last_seq)
SELECT j.id, 'running', 3 FROM unnest('{F keys,F both,F totals}'::text[]) AS j (id);
INSERT INTO tallymark.job_event (job_id, seq, event, occurred_at, recorded_at, payload)
SELECT u.job, u.seq, 'x', now(), now(), u.payload
FROM (VALUES
  ('F keys', 1, '{"itemKeys": {"pages": ["a", "b"], "files": ["a"]}}'::jsonb),
  ('F keys', 2, '{"itemKeys": {"pages": ["b", "c"], "files": "damaged"}}'),
  ('F keys', 3, '{"itemKeys": "damaged"}'),
  ('F both', 1, '{"itemsByType": {"issues": 3}, "itemKeys": {"pages": ["a", "b"]}}'),
  ('F both', 2, '{"itemsByType": {"issues": 3}}'),
  ('F totals', 1, '{"processedItems": 10, "itemKeys": {"pages": ["a", "b"]}}'),
  ('F totals', 2, '{"processedItems": 20, "itemKeys": {"pages": ["c", "d"]}}')) AS u (job, seq, payload);
CREATE TEMPORARY TABLE figures AS SELECT f FROM tallymark.update_figures('F job', 6) AS f;

SELECT ok(f @> '{"updates": 6, "fromSeq": 2, "toSeq": 8, "large": 1, "largestSeq": 8}', 'six of seven') FROM figures;
SELECT ok(f @> '{"late": 1, "latestSeconds": 59, "ahead": 1, "aheadSeconds": 10}', 'their times') FROM figures;
SELECT ok(f @> '{"workers": 2, "jumping": {"worker": "", "drops": 1, "starts": 1, "updates": 5},
  "byWorker": [{"worker": "", "updates": 5}, {"worker": "w", "updates": 1}]}', 'who sent them') FROM figures;
SELECT ok(f @> '{"itemsPerUpdate": 10, "reported": 2, "notLower": 1, "higher": 1, "largestReport": 6}',
  'what they counted') FROM figures;
SELECT ok(tallymark.update_figures(c.job, 9) @> c.figures, c.promise) FROM (VALUES
  ('F keys', '{"itemsPerUpdate": 2.5, "reported": 0, "largestReport": null}'::jsonb, 'keys of items are items'),
  ('F both', '{"itemsPerUpdate": 4, "reported": 1, "largestReport": 3}', 'beside increments, which are compared without them'),
  ('F totals', '{"itemsPerUpdate": 10}', 'and processedItems stand for all items')) AS c (job, figures, promise);
SELECT ok(f @> '{"errors": 1, "lastErrorSeq": 6}', 'and the errors') FROM figures;
SELECT ok(tallymark.update_figures('F none', 6) @> '{"updates": 0, "toSeq": null, "workers": 0}',
  'a job without updates');
SELECT ok(tallymark.update_figures('F job', 1) @> '{"updates": 1, "itemsPerUpdate": null}', 'a single update');

SELECT * FROM finish();
ROLLBACK;
