-- Brings the keys of items into the form that is merged and kept in the ledger, which never has the keys themselves.

CREATE OR REPLACE FUNCTION tallymark.prepare_item_keys(item_keys jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN (
    SELECT coalesce(jsonb_object_agg(t.key, (
      SELECT jsonb_agg(DISTINCT encode(tallymark.item_digest(k.key), 'hex') COLLATE "C")
      FROM jsonb_array_elements_text(t.value) AS k (key))), '{}')
    FROM jsonb_each(prepare_item_keys.item_keys) AS t);
END
$$;

COMMENT ON FUNCTION tallymark.prepare_item_keys(jsonb) IS
'Brings the keys of items into the form that is merged.
Arguments: item_keys: the value of itemKeys, without problems (see item_keys_problems).
Returns: an object that has for each type an array of digests (see item_digest) in hexadecimal, each once, sorted.';

REVOKE ALL ON FUNCTION tallymark.prepare_item_keys(jsonb) FROM PUBLIC;
