-- Tells how many of an update's keys of items counted.

CREATE OR REPLACE FUNCTION tallymark.item_counts(item_keys jsonb, counted jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN (
    SELECT jsonb_build_object('counted', item_counts.counted, 'seenBefore', jsonb_object_agg(t.key,
      jsonb_array_length(t.value) - (item_counts.counted -> t.key)::bigint))
    FROM jsonb_each(item_counts.item_keys) AS t
    -- The ledger may be damaged, and reporting that is left to verify.
    WHERE jsonb_typeof(t.value) = 'array' AND jsonb_typeof(item_counts.counted -> t.key) = 'number'
    HAVING count(*) > 0);
END
$$;

COMMENT ON FUNCTION tallymark.item_counts(jsonb, jsonb) IS
'Tells how many of an update''s keys of items counted, for its acknowledgement and its event.
Arguments: item_keys: as prepare_item_keys gives them; counted: how many of them were new, {"type": n}.
Returns: {"counted", "seenBefore": {"type": how many the job had before}}; null where either argument is null.';

REVOKE ALL ON FUNCTION tallymark.item_counts(jsonb, jsonb) FROM PUBLIC;
