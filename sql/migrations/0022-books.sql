-- Frees the names of the fields that balance the books.
-- depends: 0021-for-one-job

SET LOCAL lock_timeout = '2s';
SET LOCAL search_path = pg_catalog, pg_temp;

-- It gets a parameter more.
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS tallymark.counts_problems(jsonb);

-- A crawler may have sent fields of its own that were called so. It keeps their values under other names. A job that has
-- counted in these fields is known by its clocks (see count_books): this may be run again.
DO $$
DECLARE
  c_new CONSTANT jsonb := '{"foundByType": "earlierFoundByType", "failedByType": "earlierFailedByType",
    "skippedByType": "earlierSkippedByType", "totalsByType": "earlierTotalsByType"}';
  c_old CONSTANT text[] := ARRAY(SELECT jsonb_object_keys(c_new));
  v_row record;
  v_state jsonb;
BEGIN
  FOR v_row IN
    -- Crawlers go on reporting, so a job is locked before its state is read.
    SELECT j.id, false AS is_baseline, NULL::jsonb AS state FROM tallymark.job AS j
    WHERE j.progress ?| c_old AND jsonb_typeof(j.clocks -> 'totalsByType') IS DISTINCT FROM 'object'
    UNION ALL
    SELECT b.job_id, true, b.state FROM tallymark.job_baseline AS b
    WHERE b.state -> 'progress' ?| c_old
      AND jsonb_typeof(b.state #> '{clocks,totalsByType}') IS DISTINCT FROM 'object'
    ORDER BY 1, 2
  LOOP
    v_state := v_row.state;
    IF NOT v_row.is_baseline THEN
      v_state := (
        SELECT jsonb_build_object('progress', j.progress, 'clocks', j.clocks, 'newest_fields', j.newest_fields)
        FROM tallymark.job AS j
        WHERE j.id = v_row.id AND jsonb_typeof(j.clocks -> 'totalsByType') IS DISTINCT FROM 'object'
        FOR NO KEY UPDATE);
      CONTINUE WHEN v_state IS NULL; -- it was deleted
    END IF;
    v_state := v_state || jsonb_build_object(
      'progress', (
        SELECT jsonb_object_agg(coalesce(c_new ->> m.key, m.key), m.value) FROM jsonb_each(v_state -> 'progress') AS m),
      'clocks', (
        SELECT coalesce(jsonb_object_agg(coalesce(c_new ->> m.key, m.key), m.value), '{}')
        FROM jsonb_each(v_state -> 'clocks') AS m),
      -- In the order of the members of jsonb.
      'newest_fields', (
        SELECT coalesce(jsonb_agg(f.name ORDER BY octet_length(f.name), f.name COLLATE "C"), '[]')
        FROM (
          SELECT coalesce(c_new ->> n.name, n.name) AS name
          FROM jsonb_array_elements_text(v_state -> 'newest_fields') AS n (name)) AS f));
    IF v_row.is_baseline THEN
      -- The digest is that of baseline_digest, which is not installed yet in a new database.
      UPDATE tallymark.job_baseline AS b SET state = v_state,
        digest = sha256(convert_to(jsonb_build_array(b.job_id, b.seq, b.updates, v_state,
          (extract(epoch FROM b.command_after) * 1000000)::bigint)::text, 'UTF8'))
      WHERE b.job_id = v_row.id;
    ELSE
      UPDATE tallymark.job AS j SET progress = v_state -> 'progress', clocks = v_state -> 'clocks',
        newest_fields = ARRAY(SELECT jsonb_array_elements_text(v_state -> 'newest_fields'))
      WHERE j.id = v_row.id;
    END IF;
    UPDATE tallymark.job_event AS e
    SET payload = (
      SELECT jsonb_object_agg(coalesce(c_new ->> m.key, m.key), m.value) FROM jsonb_each(e.payload) AS m)
    WHERE e.job_id = v_row.id AND e.payload ?| c_old;
  END LOOP;
END
$$;
