-- The rules of the wire protocol for the keys of items.

CREATE OR REPLACE FUNCTION tallymark.item_keys_hold(payload jsonb) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_most_characters CONSTANT integer := 1024;
  v_keys CONSTANT jsonb := item_keys_hold.payload -> 'itemKeys';
BEGIN
  IF NOT tallymark.type_names_hold(v_keys) OR jsonb_path_match(v_keys, '
    !($.*.type() != "array") && !($.*.size() > 1000) && !($.*.size() == 0)
    && !($.*[*].type() != "string") && !($.*[*] == "")') IS NOT TRUE
  THEN
    RETURN false;
  ELSIF octet_length(v_keys::text) > c_most_characters AND EXISTS (
    SELECT FROM jsonb_each(v_keys) AS t, jsonb_array_elements_text(t.value) AS k (key)
    WHERE octet_length(k.key) > c_most_characters AND char_length(k.key) > c_most_characters)
  THEN
    RETURN false;
  END IF;
  RETURN tallymark.types_counted_twice(item_keys_hold.payload) = '{}';
END
$$;

COMMENT ON FUNCTION tallymark.item_keys_hold(jsonb) IS
'Tells whether the itemKeys of an update keep to the wire protocol. It has at most 200 types, with names of 1 to 100
characters. Each type has an array of 1 to 1000 strings of 1 to 1024 characters. No type is also counted by a number.
Arguments: payload: the update, with itemKeys.
Returns: true or false.';

REVOKE ALL ON FUNCTION tallymark.item_keys_hold(jsonb) FROM PUBLIC;
