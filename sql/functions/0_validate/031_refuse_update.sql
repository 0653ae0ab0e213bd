-- Refuses an update: all problems at once, under the message that the wire protocol gives them.

CREATE OR REPLACE FUNCTION tallymark.refuse_update(payload jsonb, missing text[], problems jsonb) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_details jsonb := coalesce(refuse_update.problems, '[]');
  v_missing jsonb;
  v_message text;
BEGIN
  IF refuse_update.missing <> '{}' THEN
    SELECT jsonb_agg(jsonb_build_object('field', m.field, 'problem', 'is required')) INTO v_missing
    FROM unnest(refuse_update.missing) AS m (field);
    v_details := v_missing || v_details;
    v_message := 'Missing required fields: taskId, status, timestamp';
  ELSIF jsonb_typeof(refuse_update.payload -> 'status') = 'string'
    AND tallymark.job_status(refuse_update.payload ->> 'status') IS NULL
  THEN
    v_message := 'Invalid status: ' || left(refuse_update.payload ->> 'status', 100);
  ELSIF jsonb_path_exists(v_details, '$[*] ? (@.field == "areas" && @.problem starts with "is required")') THEN
    v_message := 'Missing areas data in payload';
  ELSE
    v_message := 'Invalid progress payload';
  END IF;
  RAISE EXCEPTION USING ERRCODE = 'TK400', MESSAGE = v_message, DETAIL = v_details::text,
    HINT = 'Correct the named fields and send the update again. Nothing of it was stored.';
END
$$;

COMMENT ON FUNCTION tallymark.refuse_update(jsonb, text[], jsonb) IS
'Refuses an update.
Arguments: payload: the update; missing: the required members that it lacks; problems: an array of {"field",
"problem"}.
Errors: TK400, always. MESSAGE is what the wire protocol answers as error, DETAIL the array of all problems as JSON.';

REVOKE ALL ON FUNCTION tallymark.refuse_update(jsonb, text[], jsonb) FROM PUBLIC;
