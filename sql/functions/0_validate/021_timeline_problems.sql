-- Finds what is wrong with the events that a crawler sends for its timeline.

CREATE OR REPLACE FUNCTION tallymark.timeline_problems(events jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_problems jsonb := '[]'::jsonb;
  v_event jsonb;
  v_place text;
  v_number integer := 0;
BEGIN
  FOR v_event IN SELECT e.value FROM jsonb_array_elements(timeline_problems.events) AS e LOOP
    v_place := format('timeline[%s]', v_number);
    v_number := v_number + 1;
    IF jsonb_typeof(v_event) <> 'object' THEN
      v_problems := v_problems || jsonb_build_object('field', v_place, 'problem', 'must be an object');
      CONTINUE;
    END IF;
    IF jsonb_typeof(v_event -> 'event') IS DISTINCT FROM 'string'
      OR char_length(v_event ->> 'event') NOT BETWEEN 1 AND 100
    THEN
      v_problems := v_problems
        || jsonb_build_object('field', v_place || '.event', 'problem', 'must be a string of 1 to 100 characters');
    END IF;
    IF tallymark.parse_timestamp(v_event ->> 'timestamp') IS NULL THEN
      v_problems := v_problems
        || jsonb_build_object('field', v_place || '.timestamp', 'problem', tallymark.member_rule('timestamp'));
    END IF;
  END LOOP;
  RETURN v_problems;
END
$$;

COMMENT ON FUNCTION tallymark.timeline_problems(jsonb) IS
'Finds what is wrong with the events of a crawler''s own timeline.
Arguments: events: an array.
Returns: an array of {"field", "problem"}, empty where all is well.';

REVOKE ALL ON FUNCTION tallymark.timeline_problems(jsonb) FROM PUBLIC;
