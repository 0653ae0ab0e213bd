-- Brings the areas of an update into the form that is merged and kept in the ledger.

CREATE OR REPLACE FUNCTION tallymark.prepare_areas(areas jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_areas jsonb := '{}'::jsonb;
  v_area jsonb;
  v_paths text[] := '{}'::text[];
BEGIN
  FOR v_area IN SELECT a.value FROM jsonb_array_elements(prepare_areas.areas) AS a LOOP
    v_area := tallymark.without_nulls(v_area);
    IF v_area ? 'gitlabId' THEN -- the original's name for it
      v_area := (jsonb_build_object('externalId', v_area -> 'gitlabId') || v_area) - 'gitlabId';
    END IF;
    v_area := v_area || jsonb_build_object('type', lower((v_area ->> 'type') COLLATE "C"));
    IF NOT v_areas ? (v_area ->> 'fullPath') THEN
      v_paths := v_paths || (v_area ->> 'fullPath');
    END IF;
    -- Where an area is given twice, the later members win.
    v_areas := v_areas
      || jsonb_build_object(v_area ->> 'fullPath', coalesce(v_areas -> (v_area ->> 'fullPath'), '{}') || v_area);
  END LOOP;
  RETURN (
    SELECT coalesce(jsonb_agg(v_areas -> p.path ORDER BY p.number), '[]')
    FROM unnest(v_paths) WITH ORDINALITY AS p (path, number));
END
$$;

COMMENT ON FUNCTION tallymark.prepare_areas(jsonb) IS
'Brings the areas of an update into the form that is merged.
Arguments: areas: an array without problems (see areas_problems).
Returns: an array with each path once, without members that are null, with gitlabId as externalId and types in lower
case.';

REVOKE ALL ON FUNCTION tallymark.prepare_areas(jsonb) FROM PUBLIC;
