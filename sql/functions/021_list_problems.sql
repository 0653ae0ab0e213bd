-- What is wrong with the members of an update that hold lists: areas, and the events of the crawler's own timeline.

CREATE OR REPLACE FUNCTION tallymark.list_problems(field text, list jsonb, longest integer) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_problems jsonb := '[]';
  v_entry jsonb;
  v_place text;
  v_number integer := 0;
BEGIN
  IF jsonb_typeof(list_problems.list) IS DISTINCT FROM 'array' THEN
    RETURN jsonb_build_array(jsonb_build_object('field', list_problems.field, 'problem', 'must be an array of objects'));
  END IF;
  IF jsonb_array_length(list_problems.list) > list_problems.longest THEN
    RETURN jsonb_build_array(jsonb_build_object('field', list_problems.field, 'problem', format(
      'must hold at most %s entries, holds %s', list_problems.longest, jsonb_array_length(list_problems.list))));
  END IF;
  FOR v_entry IN SELECT e.value FROM jsonb_array_elements(list_problems.list) AS e LOOP
    v_place := format('%s[%s]', list_problems.field, v_number);
    v_number := v_number + 1;
    IF jsonb_typeof(v_entry) <> 'object' THEN
      v_problems := v_problems || jsonb_build_object('field', v_place, 'problem', 'must be an object');
      CONTINUE;
    END IF;
    CONTINUE WHEN list_problems.field <> 'timeline';
    IF NOT tallymark.is_text(v_entry -> 'event', 1, 100) THEN
      v_problems := v_problems
        || jsonb_build_object('field', v_place || '.event', 'problem', 'must be a string of 1 to 100 characters');
    END IF;
    IF tallymark.parse_timestamp(CASE jsonb_typeof(v_entry -> 'timestamp')
      WHEN 'string' THEN v_entry ->> 'timestamp' ELSE '' END) IS NULL
    THEN
      v_problems := v_problems || jsonb_build_object('field', v_place || '.timestamp',
        'problem', 'must be an ISO 8601 date and time, such as 2025-01-06T19:15:30.000Z');
    END IF;
  END LOOP;
  RETURN v_problems;
END
$$;

COMMENT ON FUNCTION tallymark.list_problems(text, jsonb, integer) IS
'What is wrong with a member of an update that holds a list of objects.
Arguments: field, the member''s name (entries of timeline must also hold event and timestamp); list, its value;
longest, how many entries it may have.
Returns: an array of {"field", "problem"}, empty where all is well.';

REVOKE ALL ON FUNCTION tallymark.list_problems(text, jsonb, integer) FROM PUBLIC;
