-- Updates the clocks of a job's state: which update gave the status and the newest-wins fields, and when.

CREATE OR REPLACE FUNCTION tallymark.advance_clocks(
  job tallymark.job, at timestamptz, key text, status text, winning jsonb
) RETURNS tallymark.job
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_names CONSTANT text[] := ARRAY(SELECT f.name FROM jsonb_object_keys(advance_clocks.winning) AS f (name));
  v_status_key text := coalesce(job.clocks -> 'status' ->> 1, job.newest_key);
BEGIN
  -- Every update gives the status, so its time is that of the newest update; on a tie a terminal status wins.
  IF job.newest_at IS NULL OR advance_clocks.at > job.newest_at
    OR (advance_clocks.at = job.newest_at
      AND (tallymark.is_terminal(advance_clocks.status), advance_clocks.key COLLATE "C")
        > (tallymark.is_terminal(job.status), v_status_key COLLATE "C"))
  THEN
    job.status := advance_clocks.status;
    v_status_key := advance_clocks.key;
  END IF;

  IF job.newest_at IS NULL
    OR (advance_clocks.at, advance_clocks.key COLLATE "C") > (job.newest_at, job.newest_key COLLATE "C")
  THEN
    job.clocks := (job.clocks || tallymark.clocks_of(job.newest_fields, job.newest_at, job.newest_key)) - v_names;
    job.newest_at := advance_clocks.at;
    job.newest_key := advance_clocks.key;
    job.newest_fields := v_names;
  ELSE
    job.clocks := job.clocks || tallymark.clocks_of(v_names, advance_clocks.at, advance_clocks.key);
  END IF;

  job.clocks := job.clocks - 'status';
  IF v_status_key <> job.newest_key THEN -- the newest update did not give the status: a terminal status won a tie
    job.clocks := job.clocks || tallymark.clocks_of('{status}', job.newest_at, v_status_key);
  END IF;
  RETURN job;
END
$$;

COMMENT ON FUNCTION tallymark.advance_clocks(tallymark.job, timestamptz, text, text, jsonb) IS
'Sets status, newest_at, newest_key, newest_fields and clocks of a job''s state as they are after an update.
Arguments: job: the state so far; at, key: time and key of the update; status: the job status that it stands for;
winning: its fields that win, as winning_fields gives them.
Returns: the state with these columns set.';

REVOKE ALL ON FUNCTION tallymark.advance_clocks(tallymark.job, timestamptz, text, text, jsonb) FROM PUBLIC;
