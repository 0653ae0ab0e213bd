-- Gives everything about a job except its ledger and the keys of its items, for an archive.

CREATE OR REPLACE FUNCTION tallymark.job_record(job_id text) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET TimeZone = 'UTC' -- the form of times in JSON
AS $$
DECLARE
  v_job tallymark.job;
BEGIN
  SELECT j.* INTO v_job FROM tallymark.job AS j WHERE j.id = job_record.job_id;
  IF NOT FOUND THEN
    PERFORM tallymark.refuse_unknown_job(job_record.job_id);
  END IF;
  RETURN jsonb_build_object('job', to_jsonb(v_job), 'document', tallymark.job_document(v_job))
    || (SELECT jsonb_build_object('areas', coalesce(jsonb_agg(to_jsonb(a) - 'job_id' ORDER BY a.full_path), '[]'))
      FROM tallymark.job_area AS a WHERE a.job_id = job_record.job_id)
    || (SELECT jsonb_build_object('items', count(*))
      FROM tallymark.job_item AS i WHERE i.job_id = job_record.job_id)
    || jsonb_build_object('baseline',
      (SELECT to_jsonb(b) - 'job_id' FROM tallymark.job_baseline AS b WHERE b.job_id = job_record.job_id),
      'pace',
      (SELECT to_jsonb(p) - 'job_id' FROM tallymark.job_pace AS p WHERE p.job_id = job_record.job_id));
END
$$;

COMMENT ON FUNCTION tallymark.job_record(text) IS
'Gives everything that is stored about a job except its ledger and its items, for an archive.
Arguments: job_id: a registered job.
Returns: {"job": its row, by the names of the columns, "document": the job as get_job gives it, without timeline,
"areas": the rows of tallymark.job_area, "items": how many rows of tallymark.job_item it has (see item_page),
"baseline": the row of tallymark.job_baseline, or null, "pace": the row of tallymark.job_pace, or null}.
Errors: TK404 where there is no such job; TK400 where job_id is null, empty or too long.
Callers: tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.job_record(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.job_record(text) TO tallymark_admin;
