-- Tells whether an update was accepted before and its event pruned since.

CREATE OR REPLACE FUNCTION tallymark.is_pruned(job_id text, key text) RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN EXISTS (SELECT 1 FROM tallymark.pruned_update AS p
    WHERE p.job_id = is_pruned.job_id AND p.key_digest = tallymark.key_digest(is_pruned.key));
END
$$;

COMMENT ON FUNCTION tallymark.is_pruned(text, text) IS
'Tells whether an update was accepted before and its event pruned since.
Arguments: job_id: a job whose row the caller has locked; key: as update_key gives it.';

REVOKE ALL ON FUNCTION tallymark.is_pruned(text, text) FROM PUBLIC;
