-- Registers a job, once.

CREATE OR REPLACE FUNCTION tallymark.create_job(job_id text, attributes jsonb DEFAULT '{}', parent text DEFAULT NULL)
RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_now CONSTANT timestamptz := clock_timestamp();
  v_created boolean;
BEGIN
  PERFORM tallymark.check_job(to_jsonb(create_job.job_id), create_job.attributes, to_jsonb(create_job.parent));
  INSERT INTO tallymark.job AS j (id, attributes, parent, series, created_at, updated_at)
  VALUES (create_job.job_id, coalesce(create_job.attributes, '{}'), create_job.parent,
    create_job.attributes ->> 'series', v_now, v_now)
  ON CONFLICT ON CONSTRAINT job_pkey DO NOTHING;
  v_created := FOUND;
  RETURN tallymark.get_job(create_job.job_id, 0) || jsonb_build_object('created', v_created);
END
$$;

COMMENT ON FUNCTION tallymark.create_job(text, jsonb, text) IS
'Registers a job, so that crawlers can report on it. Registering it again changes nothing.
Arguments: job_id: its id, 1 to 255 characters; attributes: a JSON object of the registrar''s own, at most 64 KB, null
for {}; parent: the job that it is part of, null for none. The parent need not be registered. Two attributes have a
meaning here: {"counting": "cumulative"} makes running totals the default of the job''s updates; {"series": a text of 1
to 255 characters} says which crawl, run again and again, it is a run of.
Returns: the job as get_job gives it, without events, and "created": whether it is new.
Errors: TK400 where an argument is not valid, with all problems in DETAIL as a JSON array of {"field", "problem"}.
Callers: tallymark_writer, tallymark_admin.
Example: SELECT tallymark.create_job(''job_1'', ''{"account": "acme"}'');';

REVOKE ALL ON FUNCTION tallymark.create_job(text, jsonb, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.create_job(text, jsonb, text) TO tallymark_writer, tallymark_admin;
