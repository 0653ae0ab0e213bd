-- Names the jobs that a body is for, before anything of it is judged: what an update or a batch must lock.

CREATE OR REPLACE FUNCTION tallymark.jobs_of(body jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
  -- A number may be too long to be written as text.
  WHEN jsonb_typeof(body -> 'taskId') = 'string' THEN ARRAY[body ->> 'taskId']
  WHEN jsonb_typeof(body) = 'array' THEN ARRAY(
    SELECT DISTINCT u.value ->> 'taskId' FROM jsonb_array_elements(body) AS u
    WHERE jsonb_typeof(u.value -> 'taskId') = 'string')
  ELSE '{}'::text[] END;

COMMENT ON FUNCTION tallymark.jobs_of(jsonb) IS
'Names the jobs that the body of a request is for, whether or not it is valid.
Arguments: body: an update, a batch, or any other JSON.
Returns: the ids, each once; none for a body or an element that names no job.';

REVOKE ALL ON FUNCTION tallymark.jobs_of(jsonb) FROM PUBLIC;
