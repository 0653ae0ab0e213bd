-- Merges running totals: the highest report of each worker, summed over the workers.

CREATE OR REPLACE FUNCTION tallymark.count_by_worker(
  INOUT workers jsonb, INOUT processed numeric, INOUT items jsonb, payload jsonb
)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_worker CONSTANT text := coalesce(count_by_worker.payload ->> 'workerId', '');
  v_processed CONSTANT numeric := trim_scale((count_by_worker.payload -> 'processedItems')::numeric);
  v_running jsonb := CASE WHEN count_by_worker.payload ->> 'counting' = 'cumulative'
    THEN coalesce(count_by_worker.payload -> 'itemsByType', '{}') ELSE '{}' END;
  v_mine jsonb;
  v_my_items jsonb;
BEGIN
  -- The legacy names of running totals. greatest compares JSON numbers as numbers and ignores nulls.
  IF count_by_worker.payload ?| '{groupCount,projectCount}' THEN
    v_running := v_running || tallymark.without_nulls(jsonb_build_object(
      'groups', greatest(v_running -> 'groups', count_by_worker.payload -> 'groupCount'),
      'projects', greatest(v_running -> 'projects', count_by_worker.payload -> 'projectCount')));
  END IF;

  -- While only the unnamed worker has reported, and only processedItems, its highest value is the job's total and is
  -- stored only there.
  IF workers IS NULL AND v_worker = '' AND v_running = '{}' THEN
    processed := greatest(processed, v_processed);
    RETURN;
  ELSIF v_processed IS NULL AND v_running = '{}' THEN
    RETURN;
  ELSIF workers IS NULL THEN
    workers := CASE WHEN processed IS NULL THEN '{}'
      ELSE jsonb_build_object('', jsonb_build_object('processedItems', processed)) END;
  END IF;

  v_mine := coalesce(workers -> v_worker, '{}');
  IF v_processed IS NOT NULL THEN
    processed := coalesce(processed, 0) + greatest(v_processed - coalesce((v_mine -> 'processedItems')::numeric, 0), 0);
    v_mine := v_mine
      || jsonb_build_object('processedItems', greatest((v_mine -> 'processedItems')::numeric, v_processed));
  END IF;
  IF v_running <> '{}' THEN
    v_my_items := coalesce(v_mine -> 'itemsByType', '{}');
    SELECT coalesce(count_by_worker.items, '{}') || jsonb_object_agg(r.type,
        coalesce((count_by_worker.items -> r.type)::numeric, 0) + greatest(r.count - coalesce(r.before, 0), 0)),
      v_my_items || jsonb_object_agg(r.type, greatest(r.before, r.count))
    INTO items, v_my_items
    FROM (SELECT e.key AS type, trim_scale(e.value::numeric) AS count, (v_my_items -> e.key)::numeric AS before
      FROM jsonb_each(v_running) AS e) AS r;
    v_mine := v_mine || jsonb_build_object('itemsByType', v_my_items);
  END IF;
  workers := workers || jsonb_build_object(v_worker, v_mine);
END
$$;

COMMENT ON FUNCTION tallymark.count_by_worker(jsonb, numeric, jsonb, jsonb) IS
'Merges the running totals of an update: the highest value that each worker has reported, summed over the workers.
Arguments: workers: what each worker has reported, {"worker": {"processedItems": n, "itemsByType": {"type": n}}}, the
unnamed worker under "", null while only that one has reported and only processedItems; processed, items: the merged
processedItems and itemsByType, which already include the update''s increments, null where there are none; payload: the
update.
Returns: workers, processed and items after the update.';

REVOKE ALL ON FUNCTION tallymark.count_by_worker(jsonb, numeric, jsonb, jsonb) FROM PUBLIC;
