-- The ledger of a batch says about each update what it would say had the update come alone. Also where some are late,
-- the stage changes at the first update that gave the new one.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(7);

-- The kinds and details of the events of updates at these seconds, all with stage b, for a job that had updates
-- before.
CREATE FUNCTION pg_temp.ledger(before jsonb, seconds integer[], batch boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_updates CONSTANT jsonb := (SELECT jsonb_agg(jsonb_build_object('taskId', 'job', 'status', 'processing', 'stage',
    'b',
      'timestamp', tallymark.iso_timestamp('2025-01-06T10:00:00Z'::timestamptz + s.second * interval '1s')) ORDER BY
        s.number)
    FROM unnest(seconds) WITH ORDINALITY AS s (second, number));
  v_ledger text;
BEGIN
  PERFORM tallymark.create_job('job');
  PERFORM tallymark.merge_progress('job', b.value) FROM jsonb_array_elements(before) AS b;
  IF batch THEN
    PERFORM tallymark.merge_progress_batch(v_updates);
  ELSE
    PERFORM tallymark.merge_progress('job', u.value) FROM jsonb_array_elements(v_updates) AS u;
  END IF;
  v_ledger := (SELECT string_agg(e.seq || ' ' || e.event || coalesce(' ' || e.details::text, ''), ', ' ORDER BY e.seq)
    FROM tallymark.job_event AS e WHERE e.job_id = 'job');
  RAISE EXCEPTION USING ERRCODE = 'ZZ000';
EXCEPTION WHEN SQLSTATE 'ZZ000' THEN
  RETURN v_ledger;
END
$$;
SELECT is(pg_temp.ledger(c.before, c.seconds, true), pg_temp.ledger(c.before, c.seconds, false), c.why)
FROM (VALUES
  (1, '[]'::jsonb, '{1,2,3}'::integer[], 'a job without a stage'),
  (2, '[{"stage": "a", "timestamp": "2025-01-06T10:00:00Z"}]', '{1,2,3}', 'a job with another'),
  (3, '[{"stage": "a", "timestamp": "2025-01-06T10:00:10Z"}]', '{1,2,3}', 'all are late'),
  (4, '[{"stage": "a", "timestamp": "2025-01-06T10:00:02.500Z"}]', '{1,2,3,4}',
    'the first are late, a later one brings the stage'),
  (5, '[{"stage": "a", "timestamp": "2025-01-06T10:00:00Z"}, {"message": "m", "timestamp": "2025-01-06T10:00:10Z"}]',
    '{1,2,3}',
    'all are late, but newer than the stage'),
  (6, '[{"message": "m", "timestamp": "2025-01-06T10:00:10Z"}]', '{1,2,3}', 'all are late, and there was no stage'),
  (7, '[{"stage": "a", "timestamp": "2025-01-06T10:00:02Z"}]', '{1,2,3,4}', 'one ties with what gave the stage')) AS c (number, before, seconds, why) ORDER BY c.number;

SELECT * FROM finish();
ROLLBACK;
