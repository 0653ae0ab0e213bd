-- Stores the keys of items as rows of their job, one per key, and tells how many were new. So a job's count is the size
-- of a set: order, repetition, workers and restarts make no difference.

CREATE OR REPLACE FUNCTION tallymark.merge_item_keys(job_id text, seq bigint, item_keys jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_type text;
  v_digests jsonb;
  v_new bigint;
  v_counted jsonb := '{}'::jsonb;
BEGIN
  -- A statement for each type, in the order of the index: one statement for all would take longer to set up than it
  -- takes to insert fifty keys.
  FOR v_type, v_digests IN SELECT t.key, t.value FROM jsonb_each(merge_item_keys.item_keys) AS t LOOP
    -- The rows that it returns are counted: where the table is distributed, ROW_COUNT has those that were there, too.
    WITH new AS (
      INSERT INTO tallymark.job_item AS i (job_id, type, key_digest, seq)
      SELECT merge_item_keys.job_id, v_type, decode(d.digest, 'hex'), merge_item_keys.seq
      FROM jsonb_array_elements_text(v_digests) AS d (digest)
      ON CONFLICT ON CONSTRAINT job_item_pkey DO NOTHING
      RETURNING i.seq
    )
    SELECT count(*) INTO v_new FROM new AS n;
    v_counted := v_counted || jsonb_build_object(v_type, v_new);
  END LOOP;
  RETURN v_counted;
END
$$;

COMMENT ON FUNCTION tallymark.merge_item_keys(text, bigint, jsonb) IS
'Stores the keys of the items of an update, one row per job, type and key.
Arguments: job_id: a job whose row the caller has locked; seq: the number of the update''s event; item_keys: as
prepare_item_keys gives them, of an update that was not merged before.
Returns: {"type": how many of its keys are new to the job}.';

REVOKE ALL ON FUNCTION tallymark.merge_item_keys(text, bigint, jsonb) FROM PUBLIC;
