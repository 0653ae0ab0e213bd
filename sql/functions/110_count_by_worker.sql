-- Running totals: each worker's highest report, summed over the workers.

CREATE OR REPLACE FUNCTION tallymark.count_by_worker(
  INOUT workers jsonb, progress jsonb, payload jsonb, OUT totals jsonb
)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_worker CONSTANT text := coalesce(count_by_worker.payload ->> 'workerId', '');
  v_processed CONSTANT numeric := trim_scale((count_by_worker.payload -> 'processedItems')::numeric);
  v_running jsonb := CASE WHEN count_by_worker.payload ->> 'counting' = 'cumulative'
    THEN coalesce(count_by_worker.payload -> 'itemsByType', '{}') ELSE '{}' END;
  v_items jsonb := coalesce(count_by_worker.progress -> 'itemsByType', '{}');
  v_mine jsonb;
  v_my_items jsonb;
  v_before numeric;
  v_type text;
  v_count numeric;
BEGIN
  totals := '{}';
  -- The legacy names of running totals. Greatest compares JSON numbers as numbers, and passes over a null.
  IF count_by_worker.payload ?| '{groupCount,projectCount}' THEN
    v_running := v_running || tallymark.without_nulls(jsonb_build_object(
      'groups', greatest(v_running -> 'groups', count_by_worker.payload -> 'groupCount'),
      'projects', greatest(v_running -> 'projects', count_by_worker.payload -> 'projectCount')));
  END IF;
  IF v_running = '{}' AND (v_processed IS NULL OR (v_worker = '' AND workers IS NULL)) THEN
    IF v_processed IS NOT NULL THEN
      totals := jsonb_build_object('processedItems',
        greatest((count_by_worker.progress -> 'processedItems')::numeric, v_processed));
    END IF;
    RETURN;
  END IF;

  -- While only the unnamed worker has reported, and only processedItems, its highest is the total and is kept only there.
  IF workers IS NULL THEN
    workers := CASE WHEN count_by_worker.progress ? 'processedItems' THEN jsonb_build_object('',
      jsonb_build_object('processedItems', count_by_worker.progress -> 'processedItems')) ELSE '{}' END;
  END IF;
  v_mine := coalesce(workers -> v_worker, '{}');
  IF v_processed IS NOT NULL THEN
    v_before := coalesce((v_mine -> 'processedItems')::numeric, 0);
    v_mine := v_mine || jsonb_build_object('processedItems', greatest(v_before, v_processed));
    totals := jsonb_build_object('processedItems',
      coalesce((count_by_worker.progress -> 'processedItems')::numeric, 0) + greatest(v_processed - v_before, 0));
  END IF;
  IF v_running <> '{}' THEN
    v_my_items := coalesce(v_mine -> 'itemsByType', '{}');
    FOR v_type, v_count IN SELECT e.key, trim_scale(e.value::numeric) FROM jsonb_each(v_running) AS e LOOP
      v_before := coalesce((v_my_items -> v_type)::numeric, 0);
      v_my_items := v_my_items || jsonb_build_object(v_type, greatest(v_before, v_count));
      v_items := v_items || jsonb_build_object(v_type,
        coalesce((v_items -> v_type)::numeric, 0) + greatest(v_count - v_before, 0));
    END LOOP;
    v_mine := v_mine || jsonb_build_object('itemsByType', v_my_items);
    totals := totals || jsonb_build_object('itemsByType', v_items);
  END IF;
  workers := workers || jsonb_build_object(v_worker, v_mine);
END
$$;

COMMENT ON FUNCTION tallymark.count_by_worker(jsonb, jsonb, jsonb) IS
'Merges the running totals of an update: the highest value that each worker reported, summed over the workers.
Arguments: workers, what each worker has reported, {"worker": {"processedItems": n, "itemsByType": {"type": n}}}, the
unnamed worker under "", null while only it has reported and only processedItems; progress, the merged state with the
update''s increments in it; payload, the update.
Returns: workers as they are afterwards; totals, the processedItems and itemsByType that are new.';

REVOKE ALL ON FUNCTION tallymark.count_by_worker(jsonb, jsonb, jsonb) FROM PUBLIC;
