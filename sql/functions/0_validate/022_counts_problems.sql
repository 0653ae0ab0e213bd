-- Finds what is wrong with an object of counts, such as itemsByType, type by type.

CREATE OR REPLACE FUNCTION tallymark.counts_problems(counts jsonb, member text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_problems jsonb := '[]'::jsonb;
  v_type text;
  v_count jsonb;
BEGIN
  IF jsonb_typeof(counts_problems.counts) <> 'object' THEN
    RETURN jsonb_build_array(
      jsonb_build_object('field', counts_problems.member, 'problem', tallymark.member_rule(counts_problems.member)));
  END IF;
  -- Of far too many types it is enough to check some.
  FOR v_type, v_count IN SELECT e.key, e.value FROM jsonb_each(counts_problems.counts) AS e LIMIT 1000 LOOP
    IF NOT tallymark.is_valid_update('', jsonb_build_object('processedItems', v_count)) THEN -- stands for any count
      v_problems := v_problems || jsonb_build_object('field', counts_problems.member || '.' || left(v_type, 100),
        'problem', tallymark.member_rule('processedItems'));
    END IF;
    IF NOT tallymark.type_names_hold(jsonb_build_object(v_type, 0)) THEN
      v_problems := v_problems || jsonb_build_object('field', counts_problems.member || '.' || left(v_type, 100),
        'problem', 'the name of a type must have 1 to 100 characters');
    END IF;
    EXIT WHEN jsonb_array_length(v_problems) >= 200; -- enough to see what is wrong
  END LOOP;
  IF (SELECT count(*) > 200 FROM jsonb_object_keys(counts_problems.counts)) THEN
    v_problems := v_problems
      || jsonb_build_object('field', counts_problems.member, 'problem', tallymark.member_rule(counts_problems.member));
  END IF;
  RETURN v_problems;
END
$$;

COMMENT ON FUNCTION tallymark.counts_problems(jsonb, text) IS
'Finds what is wrong with an object of counts in an update, type by type.
Arguments: counts: the value of the member; member: its name, such as itemsByType.
Returns: an array of {"field", "problem"}, empty where all is well, of about 200 entries at most.';

REVOKE ALL ON FUNCTION tallymark.counts_problems(jsonb, text) FROM PUBLIC;
