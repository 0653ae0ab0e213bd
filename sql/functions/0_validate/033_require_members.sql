-- Refuses an update without the members that the caller's protocol requires.

CREATE OR REPLACE FUNCTION tallymark.require_members(job_id text, payload jsonb, required text[]) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_given jsonb;
  v_missing text[];
BEGIN
  IF jsonb_typeof(require_members.payload) = 'object' THEN -- anything else is refused for that later
    v_given := tallymark.without_nulls(require_members.payload);
    v_missing := ARRAY(SELECT f.name FROM unnest(require_members.required) AS f (name) WHERE NOT v_given ? f.name);
    IF v_missing <> '{}' THEN
      PERFORM tallymark.refuse_update(v_given, v_missing,
        tallymark.update_problems(require_members.job_id, v_given));
    END IF;
  END IF;
END
$$;

COMMENT ON FUNCTION tallymark.require_members(text, jsonb, text[]) IS
'Refuses an update that lacks a required member, or gives null for it. An update that is not an object passes: it is
refused for that later.
Arguments: job_id: the job that the update is for; payload: the update; required: the names of the members.
Errors: TK400, with all other problems of the update as well.';

REVOKE ALL ON FUNCTION tallymark.require_members(text, jsonb, text[]) FROM PUBLIC;
