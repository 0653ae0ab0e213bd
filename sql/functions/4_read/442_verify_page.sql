-- Gives the outcome of a verification as one JSON document, as HTTP answers it.

CREATE OR REPLACE FUNCTION tallymark.verify_page(job_id text) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_most_bytes CONSTANT integer := tallymark.page_byte_limit();
  c_most CONSTANT integer := 1000;
  v_last_seq bigint;
  v_shown jsonb;
  v_differences jsonb[] := '{}';
  v_bytes bigint := 0;
BEGIN
  SELECT j.last_seq INTO v_last_seq FROM tallymark.job AS j WHERE j.id = verify_page.job_id;
  FOR v_shown IN
    SELECT jsonb_build_object('seq', d.seq, 'field', d.field, 'stored', d.stored, 'folded', d.folded)
    FROM tallymark.verify_differences(verify_page.job_id) AS d LIMIT c_most
  LOOP
    v_bytes := v_bytes + octet_length(v_shown::text);
    EXIT WHEN v_bytes > c_most_bytes AND cardinality(v_differences) > 0;
    v_differences := v_differences || v_shown;
  END LOOP;
  RETURN jsonb_build_object('id', verify_page.job_id, 'verified', cardinality(v_differences) = 0,
    'events', v_last_seq, 'differences', to_jsonb(v_differences));
END
$$;

COMMENT ON FUNCTION tallymark.verify_page(text) IS
'Gives the differences of verify_differences as one JSON document.
Arguments: job_id: a registered job.
Returns: {"id", "verified": whether there are no differences, "events": the number of the last event, "differences":
[{"seq", "field", "stored", "folded"}], at most 1000 and at most 16 MB of JSON}.
Errors: TK404 where there is no such job; TK400 where job_id is null, empty or too long.
Callers: tallymark_reader, tallymark_admin.
Locks: none.
Cost: reads the job''s ledger and merges each update of it again.';

REVOKE ALL ON FUNCTION tallymark.verify_page(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.verify_page(text) TO tallymark_reader, tallymark_admin;
