-- Forgets the signs of life, and drops the functions that came with them. The release before does not know the status
-- waiting: where a job has waited, this refuses, and nothing is taken away.
-- Nor does it know that completed clears doneBeyond. To it the mark in the ledger (see prepare_update) is a field of the
-- crawler's own with the value null, so the state gets that field, and still is the fold of the ledger.

SET LOCAL lock_timeout = '2s';
SET LOCAL search_path = pg_catalog, pg_temp;

DO $$
DECLARE
  v_functions CONSTANT text[] := ARRAY(
    SELECT p.oid::pg_catalog.regprocedure::text FROM pg_catalog.pg_proc AS p
    WHERE p.pronamespace = 'tallymark'::pg_catalog.regnamespace
      AND p.proname IN ('note_alive', 'receive_alive', 'current_wait', 'job_silence', 'wait_spans',
        'waits_to_keep', 'waiting_times', 'job_liveness', 'stalled_jobs', 'stalled_page', 'alert_conditions', 'raise_alerts', 'operating_figures',
        'receive_or_refuse'));
  v_function text;
BEGIN
  IF EXISTS (
    SELECT FROM tallymark.job AS j
    WHERE ('timestamp' = ANY (j.newest_fields) OR j.clocks ? 'timestamp')
      AND (EXISTS (SELECT FROM tallymark.job_event AS e
          WHERE e.job_id = j.id AND lower((e.payload ->> 'status') COLLATE "C") = 'waiting')
        OR EXISTS (SELECT FROM tallymark.job_baseline AS b WHERE b.job_id = j.id AND b.state ? 'waits')))
  THEN
    RAISE EXCEPTION USING ERRCODE = 'TK409', MESSAGE = 'Jobs have waited',
      DETAIL = 'The release before this one does not know the status waiting, so it cannot read their ledgers.',
      HINT = 'Stay, or delete these jobs: SELECT job_id FROM tallymark.job_event '
        'WHERE lower(payload ->> ''status'') = ''waiting'' '
        'UNION SELECT job_id FROM tallymark.job_baseline WHERE state ? ''waits''.';
  END IF;
  FOREACH v_function IN ARRAY v_functions LOOP
    EXECUTE 'DROP FUNCTION IF EXISTS ' || v_function || ' CASCADE';
  END LOOP;
END
$$;

-- Before the table is locked: most finished jobs have the mark.
UPDATE tallymark.job AS j SET progress = j.progress || '{"doneBeyond": null}'
WHERE NOT j.progress ? 'doneBeyond' AND ('doneBeyond' = ANY (j.newest_fields) OR j.clocks ? 'doneBeyond');
UPDATE tallymark.job_baseline AS b SET state = n.state,
  digest = sha256(convert_to(jsonb_build_array(b.job_id, b.seq, b.updates, n.state,
    (extract(epoch FROM b.command_after) * 1000000)::bigint)::text, 'UTF8')) -- that of baseline_digest
FROM (
  SELECT o.job_id, jsonb_set(o.state, '{progress,doneBeyond}', 'null') AS state FROM tallymark.job_baseline AS o
  WHERE NOT o.state -> 'progress' ? 'doneBeyond'
    AND (o.state -> 'newest_fields' ? 'doneBeyond' OR o.state -> 'clocks' ? 'doneBeyond')
) AS n
WHERE b.job_id = n.job_id;

ALTER TABLE tallymark.job DROP COLUMN IF EXISTS alive_at;
