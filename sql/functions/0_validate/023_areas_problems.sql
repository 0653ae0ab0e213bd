-- Finds what is wrong with the areas of an update, area by area.

CREATE OR REPLACE FUNCTION tallymark.areas_problems(areas jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  -- Short enough that a path and a job's id, or two paths, fit into one index entry.
  c_path_rule CONSTANT text := 'must be a string of 1 to 1000 bytes';
  v_problems jsonb := '[]'::jsonb;
  v_area jsonb;
  v_place text;
  v_number integer := 0;
  v_member text;
BEGIN
  FOR v_area IN SELECT a.value FROM jsonb_array_elements(areas_problems.areas) AS a LOOP
    EXIT WHEN jsonb_array_length(v_problems) >= 200; -- enough to see what is wrong
    v_place := format('areas[%s]', v_number);
    v_number := v_number + 1;
    IF jsonb_typeof(v_area) <> 'object' THEN
      v_problems := v_problems || jsonb_build_object('field', v_place, 'problem', 'must be an object');
      CONTINUE;
    END IF;
    v_area := tallymark.without_nulls(v_area);
    IF jsonb_typeof(v_area -> 'fullPath') IS DISTINCT FROM 'string'
      OR octet_length(v_area ->> 'fullPath') NOT BETWEEN 1 AND 1000
    THEN
      v_problems := v_problems || jsonb_build_object('field', v_place || '.fullPath', 'problem', c_path_rule);
    END IF;
    IF jsonb_typeof(v_area -> 'type') IS DISTINCT FROM 'string' OR char_length(v_area ->> 'type') NOT BETWEEN 1 AND 100
    THEN
      v_problems := v_problems || jsonb_build_object('field', v_place || '.type', 'problem',
        'must be a string of 1 to 100 characters, such as group or project');
    END IF;
    IF v_area ? 'parentPath' AND (jsonb_typeof(v_area -> 'parentPath') <> 'string'
      OR octet_length(v_area ->> 'parentPath') NOT BETWEEN 1 AND 1000)
    THEN
      v_problems := v_problems || jsonb_build_object('field', v_place || '.parentPath', 'problem', c_path_rule);
    END IF;
    FOREACH v_member IN ARRAY '{name,webUrl,description,discoveredBy}'::text[] LOOP
      IF jsonb_typeof(v_area -> v_member) <> 'string' THEN
        v_problems := v_problems
          || jsonb_build_object('field', v_place || '.' || v_member, 'problem', 'must be a string');
      END IF;
    END LOOP;
    FOREACH v_member IN ARRAY '{externalId,gitlabId}'::text[] LOOP
      IF jsonb_typeof(v_area -> v_member) NOT IN ('string', 'number') THEN
        v_problems := v_problems
          || jsonb_build_object('field', v_place || '.' || v_member, 'problem', 'must be a string or a number');
      END IF;
    END LOOP;
  END LOOP;
  RETURN v_problems;
END
$$;

COMMENT ON FUNCTION tallymark.areas_problems(jsonb) IS
'Finds what is wrong with the areas of an update, area by area.
Arguments: areas: an array.
Returns: an array of {"field", "problem"}, empty where all is well, of about 200 entries at most.';

REVOKE ALL ON FUNCTION tallymark.areas_problems(jsonb) FROM PUBLIC;
