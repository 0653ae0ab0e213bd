-- Finds which fields of an update win: all of them if it is the newest; of a late one those that no newer update gave.

CREATE OR REPLACE FUNCTION tallymark.winning_fields(job tallymark.job, at timestamptz, key text, fields jsonb)
RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_microseconds CONSTANT bigint := extract(epoch FROM winning_fields.at) * 1000000; -- as in clocks_of
BEGIN
  IF job.newest_at IS NULL
    OR (winning_fields.at, winning_fields.key COLLATE "C") > (job.newest_at, job.newest_key COLLATE "C")
  THEN
    RETURN winning_fields.fields;
  END IF;
  RETURN (
    SELECT coalesce(jsonb_object_agg(f.key, f.value), '{}')
    FROM jsonb_each(winning_fields.fields - job.newest_fields) AS f -- the newest update gave the others
    LEFT JOIN jsonb_each(job.clocks) AS c ON c.key = f.key
    WHERE c.key IS NULL OR (v_microseconds, winning_fields.key COLLATE "C")
      > ((c.value ->> 0)::bigint, (c.value ->> 1) COLLATE "C"));
END
$$;

COMMENT ON FUNCTION tallymark.winning_fields(tallymark.job, timestamptz, text, jsonb) IS
'Finds which newest-wins fields of an update win. Of two updates the one with the later time is the newer; at the same
time, the one with the larger key, by its bytes.
Arguments: job: the state so far; at, key: time and key of the update; fields: the fields that it gives.
Returns: an object of the fields that win, with their values.';

REVOKE ALL ON FUNCTION tallymark.winning_fields(tallymark.job, timestamptz, text, jsonb) FROM PUBLIC;
