-- Jobs whose texts, numbers and times a setting could spoil. All times are fixed, so that every run reads the same.

CREATE TEMPORARY TABLE sent (number integer GENERATED ALWAYS AS IDENTITY, job text, payload jsonb);

INSERT INTO sent (job, payload) VALUES
  ('crawl 日\ ''x'' "y" 😀', '{"timestamp": "2025-03-04T05:06:07.891Z", "updateId": "1", "status": "started",
    "totalItems": 9007199254740991, "operationType": "data_collection", "ratio": 0.1, "tiny": 1e-7,
    "long": 12345.678901234567, "minus": -0.30000000000000004}'),
  ('crawl 日\ ''x'' "y" 😀', '{"timestamp": "2025-03-04T01:06:08+05:45", "updateId": "2", "status": "processing",
    "stage": "日本 \\ \u0001 ''q'' \"d\" $$ %s {} \u202e", "message": "C:\\temp\\new\\\\x 31.12.2025 12/31/2025 \ud83d\ude00",
    "processedItems": 1234567890, "itemsByType": {"日": 3, "it''s \"\\": 4, "😀": 5}}'),
  ('crawl 日\ ''x'' "y" 😀', '{"timestamp": "2025-10-26T02:30:00+02:00", "updateId": "3", "status": "processing",
    "workerId": "w\\1", "counting": "cumulative", "itemsByType": {"日": 30}, "areas": [
      {"fullPath": "gr\\oup", "type": "group", "name": "日 ''g''"},
      {"fullPath": "gr\\oup/pro''ject", "type": "project", "name": "\"p\"", "discoveredAt": "2025-03-04T05:06:07Z"}],
    "resumeState": {"cursor": "\\x41", "at": "2025-03-04", "null": null, "array": ["NULL", "{}", 1e300]}}'),
  ('crawl 日\ ''x'' "y" 😀', '{"timestamp": "2025-10-26T01:30:00Z", "updateId": "4", "status": "processing",
    "error": {"type": "HTTP\\Error", "message": "page 17 of ''日'' at C:\\x\\17 gave \"502\" on 2025-03-04"}}'),
  ('done 日', '{"timestamp": "2025-01-31T23:59:59.999Z", "updateId": "1", "status": "started", "totalItems": 3}'),
  ('done 日', '{"timestamp": "2025-02-01T00:00:00Z", "updateId": "2", "status": "processing", "processedItems": 2,
    "stage": "seite", "itemsByType": {"größe": 2}}'),
  ('done 日', '{"timestamp": "2025-02-28T12:00:00.001Z", "updateId": "3", "status": "completed", "processedItems": 3,
    "message": "fertig \\n"}'),
  ('failed 1', '{"timestamp": "2025-03-30T01:59:59Z", "updateId": "1", "status": "processing",
    "error": "Zeitüberschreitung nach 30 s: \"a\\b\" ''12''"}'),
  ('failed 2', '{"timestamp": "2025-03-30T03:00:00+02:00", "updateId": "1", "status": "processing",
    "error": "Zeitüberschreitung nach 31 s: \"a\\b\" ''13''"}'),
  ('failed 2', '{"timestamp": "2025-03-30T03:00:01+02:00", "updateId": "2", "status": "failed",
    "error": {"type": "E", "message": "gave up after 5 of \\d+ tries"}}'),
  ('paused', '{"timestamp": "2025-06-01T00:00:00Z", "updateId": "1", "status": "paused", "message": "½ ﷽"}'),
  ('pruned', '{"timestamp": "2025-06-01T00:00:00Z", "updateId": "1", "status": "processing", "itemsByType": {"a": 1},
    "float": 0.1}'),
  ('pruned', '{"timestamp": "2025-06-01T00:00:01Z", "updateId": "2", "status": "processing", "itemsByType": {"a": 2}, "itemKeys": {"ä''": ["\\x41", "😀", "null"]},
    "float": 1.0000000000000002}'),
  ('pruned', '{"timestamp": "2025-06-01T00:00:02Z", "updateId": "3", "status": "processing", "itemsByType": {"ä\\": 4}}');

DO $$
DECLARE
  s record;
BEGIN
  PERFORM tallymark.create_job(j.job, jsonb_build_object('account', j.job, 'at', '31.12.2025'))
  FROM (SELECT DISTINCT job FROM sent) AS j;
  PERFORM tallymark.create_job('run ''日', '{"series": "täglich ''\\"}', parent => 'pruned');
  PERFORM tallymark.merge_progress('run ''日', jsonb_build_object('timestamp', '2025-06-01T00:00:00.333333Z'::timestamptz
    + n * interval '1.1 s', 'itemsByType', '{"ä''": 3}'::jsonb)) FROM generate_series(0, 2) AS n;
  PERFORM tallymark.create_job('queued "日"', '{"note": "''\\"}');
  FOR s IN SELECT * FROM sent ORDER BY number LOOP
    PERFORM tallymark.merge_progress(s.job, s.payload);
  END LOOP;
  PERFORM tallymark.request_command('paused', 'resume', 'Jürgen ''\');
  UPDATE tallymark.job SET created_at = '2025-01-31 12:00Z',
    updated_at = '2025-12-31 23:59:59.999999Z';
  UPDATE tallymark.job_event SET recorded_at = '2025-12-31 12:00Z'::timestamptz + seq * interval '1.000001 s';
  UPDATE tallymark.job_event SET occurred_at = '2025-12-31 11:00Z' WHERE payload IS NULL;
  PERFORM tallymark.prune_job('pruned', '2026-01-01', 1);
  PERFORM tallymark.prune_job('run ''日', '2026-01-01', 0);
  PERFORM tallymark.create_token('token ''日\''', '{write,read}', 'crawl 日\', '9999-12-31 23:59:59+00');
  UPDATE tallymark.api_token SET created_at = '2025-01-31 12:00Z';
END
$$;
