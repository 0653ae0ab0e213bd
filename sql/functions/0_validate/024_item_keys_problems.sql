-- Finds what is wrong with the keys of items, key by key.

CREATE OR REPLACE FUNCTION tallymark.item_keys_problems(payload jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_most CONSTANT integer := 200; -- enough to see what is wrong
  v_item_keys CONSTANT jsonb := item_keys_problems.payload -> 'itemKeys';
  v_problems jsonb := '[]'::jsonb;
  v_type text;
  v_keys jsonb;
  v_place text;
BEGIN
  IF jsonb_typeof(v_item_keys) <> 'object' THEN
    RETURN jsonb_build_array(
      jsonb_build_object('field', 'itemKeys', 'problem', tallymark.member_rule('itemKeys')));
  END IF;
  FOR v_type, v_keys IN SELECT e.key, e.value FROM jsonb_each(v_item_keys) AS e LIMIT 1000 LOOP
    v_place := 'itemKeys.' || left(v_type, 100);
    IF NOT tallymark.type_names_hold(jsonb_build_object(v_type, 0)) THEN
      v_problems := v_problems || jsonb_build_object('field', v_place,
        'problem', 'the name of a type must have 1 to 100 characters');
    END IF;
    IF jsonb_typeof(v_keys) <> 'array' OR jsonb_array_length(v_keys) NOT BETWEEN 1 AND 1000 THEN
      v_problems := v_problems || jsonb_build_object('field', v_place,
        'problem', 'must be an array of 1 to 1000 strings');
    ELSIF NOT tallymark.item_keys_hold(jsonb_build_object('itemKeys', jsonb_build_object('any', v_keys))) THEN
      v_problems := v_problems || (
        SELECT jsonb_agg(jsonb_build_object('field', format('%s[%s]', v_place, k.number - 1),
          'problem', 'must be a string of 1 to 1024 characters') ORDER BY k.number)
        FROM (
          SELECT e.number FROM jsonb_array_elements(v_keys) WITH ORDINALITY AS e (value, number)
          -- As item_keys_hold has it, which would take ten times as long for each key.
          WHERE jsonb_typeof(e.value) <> 'string' OR char_length(e.value #>> '{}') NOT BETWEEN 1 AND 1024
          ORDER BY e.number LIMIT c_most) AS k);
    END IF;
    EXIT WHEN jsonb_array_length(v_problems) >= c_most;
  END LOOP;
  IF (SELECT count(*) > 200 FROM jsonb_object_keys(v_item_keys)) THEN
    v_problems := v_problems
      || jsonb_build_object('field', 'itemKeys', 'problem', tallymark.member_rule('itemKeys'));
  END IF;
  RETURN v_problems || (
    SELECT coalesce(jsonb_agg(jsonb_build_object('field', 'itemKeys.' || left(t.type, 100), 'problem',
      'must not be counted by a number in the same update, too') ORDER BY t.type COLLATE "C"), '[]')
    FROM (
      SELECT c.type FROM unnest(tallymark.types_counted_twice(item_keys_problems.payload)) AS c (type) LIMIT c_most
    ) AS t);
END
$$;

COMMENT ON FUNCTION tallymark.item_keys_problems(jsonb) IS
'Finds what is wrong with the itemKeys of an update, type by type and key by key.
Arguments: payload: the update, with itemKeys.
Returns: an array of {"field", "problem"}, empty where all is well, of about 600 entries at most.';

REVOKE ALL ON FUNCTION tallymark.item_keys_problems(jsonb) FROM PUBLIC;
