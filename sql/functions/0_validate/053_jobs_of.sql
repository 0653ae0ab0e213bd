-- Names the jobs that a body is for, before anything of it is judged: what an update or a batch must lock.

CREATE OR REPLACE FUNCTION tallymark.jobs_of(body jsonb, job_prefix text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
  -- A number may be too long to be written as text.
  WHEN jsonb_typeof(body -> 'taskId') = 'string'
    THEN CASE WHEN starts_with(body ->> 'taskId', coalesce(job_prefix, '')) THEN ARRAY[body ->> 'taskId']
      ELSE '{}'::text[] END
  WHEN jsonb_typeof(body) = 'array' THEN ARRAY(
    SELECT DISTINCT u.value ->> 'taskId' FROM jsonb_array_elements(body) AS u
    WHERE jsonb_array_length(body) <= 1000 -- a longer batch is refused
      AND jsonb_typeof(u.value -> 'taskId') = 'string' AND starts_with(u.value ->> 'taskId', coalesce(job_prefix, '')))
  ELSE '{}'::text[] END;

COMMENT ON FUNCTION tallymark.jobs_of(jsonb, text) IS
'Names the jobs that the body of a request may change.
Arguments: body: an update, a batch, or any other JSON; job_prefix: the beginning of the ids of the caller''s jobs, null
or empty for all jobs.
Returns: the ids, each once; none for a body or an element that names no job or one of another prefix, and none for a
batch of more than 1000.';

REVOKE ALL ON FUNCTION tallymark.jobs_of(jsonb, text) FROM PUBLIC;
