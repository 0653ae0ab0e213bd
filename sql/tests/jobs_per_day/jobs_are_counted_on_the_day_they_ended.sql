-- For each day the result has how many jobs ended and how, their items, their median duration and their success rate.
BEGIN;
SET LOCAL search_path = tap, public;
SET LOCAL TimeZone = 'Asia/Kathmandu';
-- As the texts below are written.
SET LOCAL DateStyle = 'ISO';
SET LOCAL IntervalStyle = 'postgres';
SELECT plan(5);

INSERT INTO tallymark.job (id, status, progress, started_at, finished_at)
SELECT 'D' || d.id, d.status, d.progress::jsonb, d.started::timestamptz, d.ended::timestamptz FROM (VALUES
  (1, 'finished', '{"processedItems": 5}', '2025-01-06 10:00Z', '2025-01-06 11:00Z'),
  (2, 'finished', '{"processedItems": 7}', '2025-01-05 23:00Z', '2025-01-06 23:59:59Z'),
  (3, 'failed', '{}', '2025-01-06 10:00Z', '2025-01-06 10:30Z'), (4, 'cancelled', '{}', '2025-01-08 10:00Z',
    '2025-01-08 10:00Z'),
  (5, 'running', '{"processedItems": 9}', '2025-01-06 10:00Z', NULL)) AS d (id, status, progress, started, ended);
CREATE FUNCTION pg_temp.days(days integer) RETURNS text[] LANGUAGE sql
RETURN ARRAY(SELECT d::text FROM tallymark.jobs_per_day(days, 'D', '2025-01-08 12:00Z') AS d);

SELECT is(pg_temp.days(4), '{"(2025-01-05,0,0,0,0,,)","(2025-01-06,2,1,0,12,01:00:00,0.6667)","(2025-01-07,0,0,0,0,,)",
  "(2025-01-08,0,0,1,0,00:00:00,)"}'::text[], 'by days in UTC, those without any, too');
SELECT is(pg_temp.days(1), '{"(2025-01-08,0,0,1,0,00:00:00,)"}'::text[], 'today alone');
SELECT is(pg_temp.days(0), '{}'::text[], 'no day');
SELECT is((SELECT count(*) FROM tallymark.jobs_per_day(NULL)), 30::bigint, 'null is as if left out');
SELECT is(jsonb_array_length(tallymark.days_page(3) -> 'days'), 3, 'as JSON');

SELECT * FROM finish();
ROLLBACK;
