-- Gives a refusal as a value: in a batch, the result of an update that was not accepted.

CREATE OR REPLACE FUNCTION tallymark.refusal(sqlstate text, message text, detail text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN jsonb_build_object('status', substr(refusal.sqlstate, 3)::integer, 'error', refusal.message)
    || CASE WHEN refusal.detail LIKE '[%' THEN jsonb_build_object('details', refusal.detail::jsonb)
      ELSE jsonb_build_object('details', '[]'::jsonb, 'detail', refusal.detail) END;
END
$$;

COMMENT ON FUNCTION tallymark.refusal(text, text, text) IS
'Gives the result of an update in a batch that was refused.
Arguments: sqlstate: one of ours, TK and the HTTP status; message, detail: those of the error.
Returns: {"status": the HTTP status that the update would have got alone, "error", "details": an array of {"field",
"problem"}}; where there are no such problems, also "detail", a sentence.';

REVOKE ALL ON FUNCTION tallymark.refusal(text, text, text) FROM PUBLIC;
