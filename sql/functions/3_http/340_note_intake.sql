-- Counts what the endpoints refused or recognised as duplicates, for each job.

CREATE OR REPLACE FUNCTION tallymark.note_intake(entries jsonb) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_most_times CONSTANT numeric := 1000000000;
  c_code_length CONSTANT integer := 64;
  c_problem_length CONSTANT integer := 500;
  v_now CONSTANT timestamptz := clock_timestamp();
  -- Read before rows are written: where the table is distributed, parse_timestamp cannot catch an error meanwhile.
  v_times timestamptz[];
  v_kept bigint;
BEGIN
  IF jsonb_typeof(note_intake.entries) IS DISTINCT FROM 'array' THEN
    RETURN 0;
  END IF;
  PERFORM tallymark.keep_shards(ARRAY(
    SELECT x.value ->> 'jobId' FROM jsonb_array_elements(note_intake.entries) AS x (value)));
  v_times := ARRAY(
    SELECT coalesce(least(tallymark.parse_timestamp(x.value ->> 'at'), v_now), v_now)
    FROM jsonb_array_elements(note_intake.entries) WITH ORDINALITY AS x (value, number) ORDER BY x.number);
  WITH known AS (
    SELECT j.id, j.created_at, x.value ->> 'outcome' AS outcome,
      left(coalesce(x.value ->> 'code', ''), c_code_length) AS code,
      CASE WHEN jsonb_typeof(x.value -> 'times') = 'number'
        THEN least(greatest(floor((x.value -> 'times')::numeric), 1), c_most_times) ELSE 1 END AS times,
      v_times[x.number] AS at,
      left(x.value ->> 'problem', c_problem_length) AS problem, x.number
    FROM jsonb_array_elements(note_intake.entries) WITH ORDINALITY AS x (value, number)
    JOIN tallymark.job AS j ON j.id = x.value ->> 'jobId'
    WHERE x.value ->> 'outcome' IN ('duplicate', 'refused')
      -- It was refused because the job was not there, and now it is: the crawler's first report comes again.
      AND (x.value ->> 'outcome' = 'refused' AND x.value ->> 'code' IN ('404', 'TK404')) IS NOT TRUE
  ), kept AS (
    -- In the order of the key, so that two endpoints cannot deadlock.
    INSERT INTO tallymark.job_intake AS i (job_id, outcome, code, times, first_at, last_at, last_problem)
    SELECT k.id, k.outcome, k.code, sum(k.times), min(greatest(k.at, k.created_at)), max(greatest(k.at, k.created_at)),
      (array_agg(k.problem ORDER BY k.at DESC, k.number DESC) FILTER (WHERE k.problem IS NOT NULL))[1]
    FROM known AS k
    GROUP BY k.id, k.outcome, k.code
    ORDER BY k.id, k.outcome COLLATE "C", k.code COLLATE "C"
    ON CONFLICT ON CONSTRAINT job_intake_pkey DO UPDATE
    SET times = i.times + excluded.times, first_at = least(i.first_at, excluded.first_at),
      last_at = greatest(i.last_at, excluded.last_at),
      last_problem = CASE WHEN i.last_at <= excluded.last_at THEN coalesce(excluded.last_problem, i.last_problem)
        ELSE coalesce(i.last_problem, excluded.last_problem) END
  )
  SELECT count(*) INTO v_kept FROM known AS k;
  RETURN v_kept;
END
$$;

COMMENT ON FUNCTION tallymark.note_intake(jsonb) IS
'Counts updates of jobs that were refused or had been accepted before, for diagnose_job. There is one row for each job,
outcome and code, to which this adds, so that a crawler that repeats itself for years takes no more room.
Arguments: entries: an array of {"jobId", "outcome": duplicate or refused, "code": at most 64 characters, "times": how
many, 1 where it is left out, "at": when the last of them came, null for now, "problem": of which 500 characters are
kept, or null}.
Returns: how many entries were counted. Entries of jobs that are not registered or with another outcome are ignored, and
so are refusals with the code 404, which came before the job was registered, and a value that is not an array.
Callers: tallymark_writer, tallymark_admin.
Locks: the rows that it adds to, in the order of their keys; no job.';

REVOKE ALL ON FUNCTION tallymark.note_intake(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.note_intake(jsonb) TO tallymark_writer, tallymark_admin;
