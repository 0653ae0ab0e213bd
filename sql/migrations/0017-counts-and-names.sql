-- Keeps the names in the states of jobs within the limit that the functions of this release keep: see within_limits.
-- depends: 0016-original

SET LOCAL lock_timeout = '2s';
SET LOCAL search_path = pg_catalog, pg_temp;

-- Functions of ours may not be called here, because in a new database they are installed afterwards.
DO $$
DECLARE
  c_most CONSTANT integer := 1000;
  v_row record;
  v_state jsonb;
  v_items jsonb;
  v_workers jsonb;
  v_over text[];
  v_rest numeric;
BEGIN
  FOR v_row IN
    -- A baseline has its state as one object. Crawlers go on reporting, so a job is locked before its state is read.
    SELECT j.id, false AS is_baseline, NULL::jsonb AS state
    FROM tallymark.job AS j
    WHERE (SELECT count(*) FROM jsonb_object_keys(j.progress)) > c_most
      OR (SELECT count(*) FROM jsonb_object_keys(j.progress -> 'itemsByType')) > c_most
    UNION ALL
    SELECT b.job_id, true, b.state FROM tallymark.job_baseline AS b
    WHERE (SELECT count(*) FROM jsonb_object_keys(b.state -> 'progress')) > c_most
      OR (SELECT count(*) FROM jsonb_object_keys(b.state #> '{progress,itemsByType}')) > c_most
    ORDER BY 1, 2
  LOOP
    v_state := v_row.state;
    IF NOT v_row.is_baseline THEN
      v_state := (
        SELECT jsonb_build_object('progress', j.progress, 'facets', j.facets, 'workers', j.workers, 'clocks', j.clocks,
          'newest_fields', j.newest_fields)
        FROM tallymark.job AS j WHERE j.id = v_row.id FOR NO KEY UPDATE);
      CONTINUE WHEN v_state IS NULL; -- it was deleted
    END IF;
    v_items := v_state #> '{progress,itemsByType}';
    v_workers := nullif(v_state -> 'workers', 'null');
    v_over := ARRAY(
      SELECT t.name FROM jsonb_object_keys(v_items) WITH ORDINALITY AS t (name, place) WHERE t.name <> ''
      ORDER BY t.place OFFSET c_most);
    IF v_over <> '{}' THEN
      SELECT sum((v_items -> o.name)::numeric - coalesce((
        SELECT sum((w.value -> 'itemsByType' -> o.name)::numeric) FROM jsonb_each(v_workers) AS w), 0))
      INTO v_rest FROM unnest(v_over) AS o (name);
      v_items := v_items - v_over;
      v_state := v_state || jsonb_build_object(
        'workers', (
          SELECT jsonb_object_agg(w.key, CASE WHEN w.value ? 'itemsByType'
            THEN jsonb_set(w.value, '{itemsByType}', (w.value -> 'itemsByType') - v_over) ELSE w.value END)
          FROM jsonb_each(v_workers) AS w),
        'facets', (v_state -> 'facets') || jsonb_build_object('itemTypes', (
          SELECT jsonb_agg(t.name) FROM jsonb_object_keys(v_items) AS t (name) WHERE t.name <> '')),
        'progress', (v_state -> 'progress') || jsonb_build_object('itemsByType',
          v_items || jsonb_build_object('', trim_scale(v_rest + coalesce((v_items -> '')::numeric, 0)))));
    END IF;
    v_over := ARRAY(
      SELECT f.name FROM jsonb_object_keys(v_state -> 'progress') WITH ORDINALITY AS f (name, place)
      WHERE f.name <> ALL (ARRAY['processedItems', 'totalItems', 'itemsByType', 'currentDataType', 'stage',
        'operationType', 'lastProcessedId', 'message', 'error', 'errorTimestamp', 'credentialStatus',
        'lastAreasDiscovery', 'groupTotal', 'projectTotal'])
      ORDER BY f.place OFFSET c_most);
    IF v_over <> '{}' THEN
      v_state := v_state || jsonb_build_object('progress', (v_state -> 'progress') - v_over,
        'clocks', (v_state -> 'clocks') - v_over, 'newest_fields', (
          SELECT coalesce(jsonb_agg(n.name ORDER BY n.place), '[]')
          FROM jsonb_array_elements_text(v_state -> 'newest_fields') WITH ORDINALITY AS n (name, place)
          WHERE n.name <> ALL (v_over)));
    END IF;
    IF v_row.is_baseline THEN
      -- The digest is that of baseline_digest.
      UPDATE tallymark.job_baseline AS b SET state = v_state,
        digest = sha256(convert_to(jsonb_build_array(b.job_id, b.seq, b.updates, v_state,
          (extract(epoch FROM b.command_after) * 1000000)::bigint)::text, 'UTF8'))
      WHERE b.job_id = v_row.id;
    ELSE
      UPDATE tallymark.job AS j SET progress = v_state -> 'progress', facets = v_state -> 'facets',
        workers = nullif(v_state -> 'workers', 'null'), clocks = v_state -> 'clocks',
        newest_fields = ARRAY(SELECT jsonb_array_elements_text(v_state -> 'newest_fields'))
      WHERE j.id = v_row.id;
    END IF;
  END LOOP;
END
$$;
