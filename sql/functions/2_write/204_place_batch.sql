-- Compares the updates of a batch with their jobs, which are locked: at what time each counts, and which of them are
-- new.

CREATE OR REPLACE FUNCTION tallymark.place_batch(
  updates tallymark.batch_update[], jobs tallymark.job[], now timestamptz
) RETURNS tallymark.batch_update[]
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  -- The numbers of the updates that are not new: in the ledger, pruned, or earlier in this batch.
  v_known bigint[] := tallymark.known_updates(place_batch.updates);
BEGIN
  v_known := v_known || ARRAY(
    SELECT r.number FROM (
      SELECT u.number, row_number() OVER (PARTITION BY u.job_id, u.key ORDER BY u.number) AS times
      FROM unnest(place_batch.updates) AS u WHERE u.refusal IS NULL) AS r
    WHERE r.times > 1);
  IF EXISTS (SELECT FROM unnest(place_batch.jobs) AS j WHERE j.pruned_seq > 0) THEN
    v_known := v_known || tallymark.known_pruned_updates(place_batch.updates, place_batch.jobs);
  END IF;
  RETURN ARRAY(
    SELECT ROW(p.number, p.job_id, p.at, p.key, p.payload, p.warnings, p.refusal,
      CASE WHEN p.is_new THEN p.last_seq - p.own
        + sum(1 + p.own) FILTER (WHERE p.is_new) OVER (PARTITION BY p.job_id ORDER BY p.number) END
      )::tallymark.batch_update
    FROM (
      SELECT u.number, u.job_id, u.key, j.last_seq,
        -- An update without a time, or ahead of our clock, counts as of now; the order in the batch is kept.
        CASE WHEN u.at <= place_batch.now THEN u.at
          ELSE place_batch.now - (cardinality(place_batch.updates) - u.number) * interval '1 microsecond' END AS at,
        CASE WHEN j.attributes ->> 'counting' IS NOT NULL AND NOT u.payload ? 'counting'
          THEN u.payload || jsonb_build_object('counting', j.attributes -> 'counting') ELSE u.payload END AS payload,
        CASE WHEN u.at > place_batch.now THEN u.warnings || tallymark.clock_warning(place_batch.now)
          ELSE u.warnings END AS warnings,
        CASE WHEN u.refusal IS NULL AND j.id IS NULL THEN tallymark.unknown_job_refusal(u.job_id)
          ELSE u.refusal END AS refusal,
        CASE WHEN u.payload ? 'timeline' THEN jsonb_array_length(u.payload -> 'timeline') ELSE 0 END AS own,
        u.refusal IS NULL AND j.id IS NOT NULL AND u.number <> ALL (v_known) AS is_new
      FROM unnest(place_batch.updates) AS u
      LEFT JOIN unnest(place_batch.jobs) AS j ON j.id = u.job_id
    ) AS p);
END
$$;

COMMENT ON FUNCTION tallymark.place_batch(tallymark.batch_update[], tallymark.job[], timestamptz) IS
'Compares the updates of a batch with their jobs: sets the time at which each counts and numbers the new ones.
Arguments: updates: as judge_update gives them; jobs: those of their jobs that are registered, locked; now: by the
server''s clock, read under the locks.
Returns: the updates with the time at which they count, the job''s default for counting, and seq: the number of the
event that an update gets, null for a refused update and for a duplicate, of the ledger or within the batch.';

REVOKE ALL ON FUNCTION tallymark.place_batch(tallymark.batch_update[], tallymark.job[], timestamptz) FROM PUBLIC;
