-- Tells how many keys of items a pruned update brought, from the rows of its job's items.

CREATE OR REPLACE FUNCTION tallymark.first_counts(job_id text, seq bigint, item_keys jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN (
    SELECT jsonb_object_agg(t.key, (
      SELECT count(*) FROM jsonb_array_elements_text(t.value) AS d (digest), tallymark.job_item AS i
      WHERE i.job_id = first_counts.job_id AND i.type = t.key AND i.key_digest = decode(d.digest, 'hex')
        AND i.seq = first_counts.seq))
    FROM jsonb_each(first_counts.item_keys) AS t);
END
$$;

COMMENT ON FUNCTION tallymark.first_counts(text, bigint, jsonb) IS
'Tells how many of an update''s keys of items were new to its job when it was merged.
Arguments: job_id: the job; seq: the number that the update''s event had; item_keys: as prepare_item_keys gives them.
Returns: {"type": n}; null for null.';

REVOKE ALL ON FUNCTION tallymark.first_counts(text, bigint, jsonb) FROM PUBLIC;
