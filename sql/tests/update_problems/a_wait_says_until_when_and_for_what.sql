-- waitUntil is a time and reason a short text, with the status waiting. With another status crawlers may have used the
-- names for fields of their own, and keep them.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(23);

CREATE FUNCTION pg_temp.at_fault(status text, members jsonb) RETURNS text LANGUAGE sql RETURN coalesce((
  SELECT string_agg(p.value ->> 'field', ' ' ORDER BY p.value ->> 'field') FROM jsonb_array_elements(
    tallymark.update_problems('job', members || jsonb_build_object('status', status))) AS p), 'none');
CREATE FUNCTION pg_temp.is_plain(members jsonb) RETURNS boolean LANGUAGE sql RETURN tallymark.is_plain_update('job',
  members, members::text, '2025-01-06');

SELECT is(pg_temp.at_fault('waiting', m::jsonb), 'none', m || ' is taken')
FROM unnest(ARRAY['{}', '{"waitUntil": "2025-01-06T10:00:00.000Z", "reason": "rate limit"}', '{"waitUntil": "2025-01-06"}',
  '{"waitUntil": "2025-01-06T12:00:00+02:00"}', '{"reason": ""}']) AS m;
SELECT is(pg_temp.at_fault('Waiting', jsonb_build_object('waitUntil', w.value)), 'waitUntil', w.value::text || ' is no time')
FROM jsonb_array_elements('["soon", "", 5, "2025-02-30T00:00:00Z", ["2025-01-06"], {}]') AS w (value);
SELECT is(pg_temp.at_fault('waiting', jsonb_build_object('reason', r.value)), 'reason', left(r.value::text, 20) || ' is no reason')
FROM jsonb_array_elements('[5, ["rate limit"], {"of": "its own"}]' || to_jsonb(repeat('x', 101))) AS r (value);
SELECT is(pg_temp.at_fault('waiting', '{"waitUntil": 5, "reason": 5, "stage": 5}'), 'reason stage waitUntil',
  'all problems at once');
SELECT is(pg_temp.at_fault(s, '{"waitUntil": 5, "reason": {"of": "its own"}}'), 'none', 'fields of its own with ' || s)
FROM unnest('{processing,paused,failed}'::text[]) AS s;
SELECT ok(pg_temp.is_plain('{"status": "waiting", "reason": "rate limit"}'), 'a wait without an end is plain');
SELECT isnt(pg_temp.is_plain('{"status": "waiting", "waitUntil": "2025-01-06T10:00:00Z"}'), true,
  'one with an end is prepared, which reads the time');
SELECT isnt(pg_temp.is_plain('{"status": "waiting", "reason": 5}'), true, 'a wrong reason is found there');
SELECT ok(pg_temp.is_plain('{"status": "processing", "reason": 5}'), 'a field of its own is not');

SELECT * FROM finish();
ROLLBACK;
