-- Receives over HTTP a crawler's question which items are new.

CREATE OR REPLACE FUNCTION tallymark.receive_unseen(body jsonb, job_id text) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF jsonb_typeof(receive_unseen.body) IS DISTINCT FROM 'object' THEN
    RAISE EXCEPTION USING ERRCODE = 'TK400', MESSAGE = 'Invalid request body',
      DETAIL = '[{"field": "", "problem": "must be a JSON object"}]',
      HINT = 'Send {"type": "pages", "keys": ["https://example.org/1"]}.';
  END IF;
  -- A value that is not a string becomes null, which unseen_items refuses.
  RETURN jsonb_build_object('unseen', tallymark.unseen_items(receive_unseen.job_id,
    CASE jsonb_typeof(receive_unseen.body -> 'type') WHEN 'string' THEN receive_unseen.body ->> 'type' END,
    CASE jsonb_typeof(receive_unseen.body -> 'keys') WHEN 'array' THEN ARRAY(
      SELECT CASE jsonb_typeof(k.value) WHEN 'string' THEN k.value #>> '{}' END
      FROM jsonb_array_elements(receive_unseen.body -> 'keys') WITH ORDINALITY AS k (value, number)
      ORDER BY k.number) END));
END
$$;

COMMENT ON FUNCTION tallymark.receive_unseen(jsonb, text) IS
'Tells which items a job has not counted yet, as a crawler asks it over HTTP.
Arguments: body: the body of the request, {"type": "pages", "keys": [at most 1000 strings]}; job_id: the job, from the
path.
Returns: {"unseen": [those that were not counted yet, in order, each once]}.
Errors: TK400 and TK404 as unseen_items.
Callers: tallymark_writer, tallymark_admin.
Locks: none.';

REVOKE ALL ON FUNCTION tallymark.receive_unseen(jsonb, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.receive_unseen(jsonb, text) TO tallymark_writer, tallymark_admin;
