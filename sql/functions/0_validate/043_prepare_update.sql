-- The longer way, for an update that is not plain: validates it in full and brings it into the form that is merged.

CREATE OR REPLACE FUNCTION tallymark.prepare_update(job_id text, payload jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_most_members CONSTANT integer := 1000;
  c_most_bytes CONSTANT integer := 1048576;
  c_derived CONSTANT text[] := '{errorTimestamp,lastAreasDiscovery}';
  c_counted CONSTANT text[] := '{groupCount,projectCount}';
  c_parts CONSTANT text[] := '{areas,timeline,processed,total}'; -- is_valid_update does not judge all of these
  v_update jsonb;
  v_problems jsonb;
  v_warnings jsonb := '[]'::jsonb;
  v_member text;
BEGIN
  IF jsonb_typeof(prepare_update.payload) IS DISTINCT FROM 'object' THEN
    RAISE EXCEPTION USING ERRCODE = 'TK400', MESSAGE = 'Invalid request body',
      DETAIL = '[{"field": "", "problem": "must be a JSON object"}]', HINT = 'An update is one JSON object.';
  END IF;
  IF octet_length(prepare_update.payload::text) > c_most_bytes
    AND tallymark.json_bytes(prepare_update.payload) > c_most_bytes
  THEN
    RAISE EXCEPTION USING ERRCODE = 'TK413', MESSAGE = 'Progress payload too large',
      DETAIL = format('The update has %s bytes as JSON; at most %s are accepted.',
        tallymark.json_bytes(prepare_update.payload), c_most_bytes);
  END IF;
  v_update := tallymark.without_nulls(prepare_update.payload); -- a null counts as not given
  IF (SELECT count(*) > c_most_members FROM jsonb_object_keys(v_update)) THEN
    v_problems := jsonb_build_array(
      jsonb_build_object('field', '', 'problem', format('must have at most %s members', c_most_members)));
  ELSIF NOT v_update ?| c_parts AND (v_update ->> 'status' IN ('processing', 'completed')) IS NOT FALSE
    AND (tallymark.parse_timestamp(v_update ->> 'timestamp') IS NOT NULL OR NOT v_update ? 'timestamp')
    AND tallymark.is_valid_update(prepare_update.job_id, v_update)
  THEN
    v_problems := NULL; -- the usual case, decided by a faster check
  ELSE
    v_problems := tallymark.update_problems(prepare_update.job_id, v_update);
  END IF;
  IF v_problems IS NOT NULL THEN
    PERFORM tallymark.refuse_update(v_update, '{}', v_problems);
  END IF;

  IF v_update ? 'processed' AND NOT v_update ? 'processedItems' THEN
    v_update := v_update || jsonb_build_object('processedItems', v_update -> 'processed');
  END IF;
  IF v_update ? 'total' AND NOT v_update ? 'totalItems' THEN
    v_update := v_update || jsonb_build_object('totalItems', v_update -> 'total');
  END IF;
  v_update := v_update - '{processed,total}'::text[];

  IF char_length(v_update ->> 'message') > 1000 THEN
    v_update := v_update || jsonb_build_object('message', left(v_update ->> 'message', 1000));
    v_warnings := v_warnings || '["message was cut to 1000 characters"]';
  END IF;
  IF v_update -> 'error' <> tallymark.cut_error(v_update -> 'error') THEN
    v_update := v_update || jsonb_build_object('error', tallymark.cut_error(v_update -> 'error'));
    v_warnings := v_warnings || '["error was cut to 8 KB"]';
  END IF;
  FOREACH v_member IN ARRAY c_derived LOOP
    IF v_update ? v_member THEN
      v_update := v_update - v_member;
      v_warnings := v_warnings || jsonb_build_array(v_member || ' was left out: it is derived from the updates');
    END IF;
  END LOOP;
  IF v_update ? 'areas' THEN
    IF v_update ?| c_counted OR v_update -> 'itemsByType' ?| '{groups,projects}'
      OR v_update -> 'itemKeys' ?| '{groups,projects}'
    THEN
      v_update := ((v_update - c_counted) #- '{itemsByType,groups}') #- '{itemsByType,projects}';
      v_update := (v_update #- '{itemKeys,groups}') #- '{itemKeys,projects}';
      v_warnings := v_warnings || '["counts of groups and projects were left out: the areas themselves are counted"]';
    END IF;
    v_update := v_update || jsonb_build_object('areas', tallymark.prepare_areas(v_update -> 'areas'));
    v_update := v_update || (
      SELECT jsonb_build_object('lastAreasDiscovery', jsonb_build_object('totalDiscovered', count(*),
        'groupsCount', count(*) FILTER (WHERE a.value ->> 'type' = 'group'),
        'projectsCount', count(*) FILTER (WHERE a.value ->> 'type' = 'project')))
      FROM jsonb_array_elements(v_update -> 'areas') AS a);
  END IF;
  IF v_update -> 'itemKeys' = '{}' THEN
    v_update := v_update - 'itemKeys';
  ELSIF v_update ? 'itemKeys' THEN
    v_update := v_update || jsonb_build_object('itemKeys', tallymark.prepare_item_keys(v_update -> 'itemKeys'));
  END IF;
  IF tallymark.job_status(v_update ->> 'status') = 'finished' AND coalesce(v_update -> 'doneBeyond', '[]') = '[]' THEN
    -- Completed clears it, unless an item before these is still open; see merge_state.
    v_update := v_update || '{"doneBeyond": null}';
  END IF;
  RETURN jsonb_build_object('update', v_update, 'warnings', v_warnings);
END
$$;

COMMENT ON FUNCTION tallymark.prepare_update(text, jsonb) IS
'Validates an update and brings it into the form that is merged and kept in the ledger.
Arguments: job_id: the job that the update is for; payload: the update as it came.
Returns: {"update": the update without nulls, with the legacy names processed and total replaced, with long texts cut,
with areas and keys of items as prepare_areas and prepare_item_keys give them, and for the status completed with
doneBeyond null where it gives none, "warnings": an array of texts that say what was changed}.
Errors: TK400, with all problems in DETAIL; TK413 where it is larger than 1 MiB as JSON without blanks.';

REVOKE ALL ON FUNCTION tallymark.prepare_update(text, jsonb) FROM PUBLIC;
