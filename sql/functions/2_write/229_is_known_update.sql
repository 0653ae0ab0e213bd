-- Tells whether an update was accepted before, also if its event has been pruned since.

CREATE OR REPLACE FUNCTION tallymark.is_known_update(job_id text, pruned_seq bigint, update_id text) RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_key CONSTANT text := tallymark.update_key(jsonb_build_object('updateId', is_known_update.update_id), NULL);
BEGIN
  PERFORM 1 FROM tallymark.job_event AS e WHERE e.job_id = is_known_update.job_id AND e.update_key = v_key;
  RETURN FOUND OR (is_known_update.pruned_seq > 0 AND tallymark.is_pruned(is_known_update.job_id, v_key));
END
$$;

COMMENT ON FUNCTION tallymark.is_known_update(text, bigint, text) IS
'Tells whether an update was accepted before.
Arguments: job_id: a job whose row the caller has locked; pruned_seq: that of the job; update_id: the updateId.
Returns: true or false.';

REVOKE ALL ON FUNCTION tallymark.is_known_update(text, bigint, text) FROM PUBLIC;
