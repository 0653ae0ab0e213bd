-- Finds all problems of an update at once, member by member.

CREATE OR REPLACE FUNCTION tallymark.update_problems(job_id text, payload jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_update CONSTANT jsonb := update_problems.payload;
  v_problems jsonb := '[]'::jsonb;
  v_waits CONSTANT boolean := tallymark.job_status(v_update ->> 'status') IS NOT DISTINCT FROM 'waiting';
  v_member text;
  v_value jsonb;
BEGIN
  FOR v_member, v_value IN SELECT e.key, e.value FROM jsonb_each(v_update) AS e LOOP
    IF v_member = 'areas' AND jsonb_typeof(v_value) = 'array' AND jsonb_array_length(v_value) <= 1000 THEN
      v_problems := v_problems || tallymark.areas_problems(v_value);
    ELSIF v_member IN ('itemsByType', 'foundByType', 'failedByType', 'skippedByType', 'totalsByType') THEN
      v_problems := v_problems || tallymark.counts_problems(v_value, v_member);
    ELSIF v_member = 'itemKeys' THEN
      v_problems := v_problems || tallymark.item_keys_problems(v_update);
    ELSIF NOT tallymark.is_valid_update(update_problems.job_id, jsonb_build_object(v_member, v_value)
        -- With another status these are fields of the crawler's own.
        || CASE WHEN v_waits AND v_member IN ('waitUntil', 'reason') THEN '{"status": "waiting"}' ELSE '{}' END::jsonb)
      OR (v_member = 'timestamp' OR (v_waits AND v_member = 'waitUntil'))
        AND tallymark.parse_timestamp(v_update ->> v_member) IS NULL
    THEN
      v_problems := v_problems
        || jsonb_build_object('field', v_member, 'problem', tallymark.member_rule(v_member));
    ELSIF v_member = 'timeline' THEN
      v_problems := v_problems || tallymark.timeline_problems(v_value);
    END IF;
  END LOOP;
  IF char_length(update_problems.job_id) NOT BETWEEN 1 AND 255
    AND NOT jsonb_path_exists(v_problems, '$[*] ? (@.field == "taskId")')
  THEN
    v_problems := v_problems || jsonb_build_object('field', 'taskId', 'problem', tallymark.member_rule('taskId'));
  END IF;
  IF lower((v_update ->> 'status') COLLATE "C") = 'new_areas_discovered' AND NOT v_update ? 'areas' THEN
    v_problems := v_problems || '{"field": "areas", "problem": "is required with this status"}';
  END IF;
  IF jsonb_path_match(jsonb_build_object(
    'processed', coalesce(v_update -> 'processedItems', v_update -> 'processed'),
    'total', coalesce(v_update -> 'totalItems', v_update -> 'total')),
    '$.processed.type() == "number" && $.total.type() == "number" && $.processed > $.total')
  THEN
    v_problems := v_problems
      || jsonb_build_object('field', 'processedItems', 'problem', 'must not be greater than totalItems');
  END IF;
  RETURN nullif(v_problems, '[]');
END
$$;

COMMENT ON FUNCTION tallymark.update_problems(text, jsonb) IS
'Finds everything that is wrong with an update.
Arguments: job_id: the job that the update is for; payload: the update, a JSON object without members that are null.
Returns: an array of {"field", "problem"}; null where all is well.';

REVOKE ALL ON FUNCTION tallymark.update_problems(text, jsonb) FROM PUBLIC;
