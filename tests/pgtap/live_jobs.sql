-- Fills a migrated database as crawlers and operators would: 1,000 jobs in every state, with all that belongs to them.
-- The SQL tests run in such a database, since a DBA runs them in one that is in use.

-- Their ids come before, between and after those of other jobs, in every order that a collation may have.
CREATE TEMPORARY TABLE live AS
SELECT n, CASE n % 5
    WHEN 0 THEN md5(n::text)::uuid::text
    WHEN 1 THEN '!live ' || n
    WHEN 2 THEN 'live' || n
    WHEN 3 THEN '日本 ''\ 😀 ' || n
    ELSE '~live ' || n END AS id,
  (ARRAY['queued', 'running', 'silent', 'paused', 'finished', 'failed', 'cancelled', 'waiting'])[n % 8 + 1] AS fate
FROM generate_series(1, 1000) AS n;

CREATE TEMPORARY TABLE live_update AS
SELECT l.n, u.number, jsonb_strip_nulls(jsonb_build_object(
    'taskId', l.id, 'updateId', u.number::text, 'workerId', CASE WHEN l.n % 16 = 1 THEN 'w' || u.number % 2 END,
    'timestamp', to_char((now() - u.ago) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), 'status', u.status,
    'stage', CASE WHEN u.number = 2 THEN 'crawling' END, 'operationType', 'data_collection',
    'currentDataType', CASE WHEN u.number > 2 THEN 'issues' END, 'message', 'page ' || u.number,
    'totalItems', 400, 'processedItems', u.number * 10, 'itemsByType', jsonb_build_object('issues', l.n % 7, 'it''s 日', 1),
    'error', CASE WHEN u.status = 'failed' OR u.number = 4 AND l.n % 10 = 1 THEN
      jsonb_build_object('type', 'HTTPError', 'message', 'page ' || l.n || ' gave 502') END,
    'areas', CASE WHEN u.number = 2 AND l.n % 4 = 1 THEN jsonb_build_array(
      jsonb_build_object('fullPath', 'group' || l.n % 9, 'type', 'group', 'name', 'Group'),
      jsonb_build_object('fullPath', 'group' || l.n % 9 || '/project ' || l.n, 'type', 'project', 'name', 'Project')) END
  )) AS payload
FROM live AS l CROSS JOIN LATERAL (
  SELECT number, interval '1 s' * (60 - number * 10) + CASE WHEN l.fate = 'silent' THEN interval '3 hours' ELSE '0' END,
    CASE WHEN number = 1 THEN 'started'
      WHEN number < 5 OR l.fate IN ('running', 'silent') THEN 'processing'
      WHEN l.fate = 'paused' THEN 'paused'
      WHEN l.fate = 'finished' THEN 'completed'
      WHEN l.fate = 'failed' THEN 'failed'
      WHEN l.fate = 'cancelled' THEN 'cancelled'
      ELSE 'credential_expiry' END
  FROM generate_series(1, 5) AS number WHERE l.fate <> 'queued') AS u (number, ago, status);

DO $$
BEGIN
  PERFORM tallymark.create_job(l.id, jsonb_build_object('account', l.n)) FROM live AS l;
  PERFORM tallymark.merge_progress_batch(b.updates) FROM (
    SELECT jsonb_agg(u.payload ORDER BY u.number, u.n) AS updates FROM live_update AS u GROUP BY u.n / 150) AS b;
  PERFORM tallymark.request_command(l.id, 'pause', 'an operator') FROM live AS l WHERE l.fate = 'running' AND l.n < 200;
  UPDATE tallymark.job AS j SET updated_at = j.updated_at - interval '3 hours' FROM live AS l
  WHERE l.id = j.id AND l.fate = 'silent';
  UPDATE tallymark.job_event AS e SET recorded_at = e.recorded_at - interval '3 hours' FROM live AS l
  WHERE l.id = e.job_id AND l.fate = 'silent';
  PERFORM tallymark.prune_job(l.id, now() - interval '1 hour', 1) FROM live AS l WHERE l.fate = 'silent' AND l.n < 400;
  PERFORM tallymark.note_intake((SELECT jsonb_agg(jsonb_build_object(
    'jobId', l.id, 'outcome', 'duplicate', 'times', 3, 'at', now()))
    FROM live AS l WHERE l.fate = 'running'));
  PERFORM tallymark.create_token('live ' || n, '{write,read}', CASE WHEN n % 2 = 0 THEN 'live' ELSE '' END)
  FROM generate_series(1, 20) AS n;
  PERFORM tallymark.revoke_token('live ' || n) FROM generate_series(1, 5) AS n;
  PERFORM tallymark.note_failed_sign_in('live ' || n) FROM generate_series(1, 5) AS n, generate_series(1, 20);
  PERFORM tallymark.end_session(sha256(convert_to('live ' || n, 'UTF8')), 3600) FROM generate_series(1, 30) AS n;
  -- A few differ from their ledgers: alerts tell operators about it.
  UPDATE tallymark.job AS j SET progress = j.progress || '{"message": "of another hand"}' FROM live AS l
  WHERE l.id = j.id AND l.n IN (105, 206, 307);
  PERFORM tallymark.verify_next_jobs(max_jobs => 500);
  PERFORM tallymark.raise_alerts();
  PERFORM tallymark.confirm_alert_message('live', c.job_id, c.kind, c.opened_at, c.recovered)
  FROM tallymark.claim_alert_messages('live', max_messages => 100) AS c;
END
$$;

-- Some alerts are over, and some of those for long.
UPDATE tallymark.alert AS a SET recovered_at = now() - interval '1 day' * (l.n % 200), due_at = NULL FROM live AS l
WHERE l.id = a.job_id AND l.fate = 'failed' AND l.n % 3 = 0;
ANALYZE;
