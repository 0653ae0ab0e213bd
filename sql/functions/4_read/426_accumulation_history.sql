-- Shows how a field got its value: what each event gave, and the value after it.

CREATE OR REPLACE FUNCTION tallymark.accumulation_history(
  job_id text, field text, after_seq bigint DEFAULT 0, max_events integer DEFAULT 100
) RETURNS TABLE (seq bigint, "timestamp" timestamptz, event text, given jsonb, value jsonb)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_after bigint;
  c_by_type CONSTANT text[] := '{itemsByType,foundByType,failedByType,skippedByType,totalsByType}';
  v_member CONSTANT text := split_part(accumulation_history.field, '.', 1);
  v_path CONSTANT text[] := CASE
    WHEN v_member = ANY (c_by_type) AND accumulation_history.field <> v_member
      THEN ARRAY[v_member, substr(accumulation_history.field, char_length(v_member) + 2)]
    WHEN accumulation_history.field = 'resumeState' THEN '{progress}'
    ELSE ARRAY[accumulation_history.field] END;
  v_legacy CONSTANT text := CASE accumulation_history.field
    WHEN 'itemsByType.groups' THEN 'groupCount' WHEN 'itemsByType.projects' THEN 'projectCount' END;
  -- The empty name stands for the types for which there is no room. The percentage may be that of all types together.
  v_counts_areas CONSTANT boolean := accumulation_history.field
    IN ('itemsByType', 'itemsByType.groups', 'itemsByType.projects', 'itemsByType.', 'percentage', 'summary', 'books',
      'shortfall');
  c_most_bytes CONSTANT integer := tallymark.page_byte_limit();
  v_bytes bigint := 0;
  v_left integer := least(greatest(coalesce(accumulation_history.max_events, 100), 0), 1001);
  v_state tallymark.job;
  v_event tallymark.job_event;
  v_before jsonb;
  v_areas record;
  v_known record;
BEGIN
  -- The history begins after the pruned events.
  SELECT greatest(accumulation_history.after_seq, j.pruned_seq) INTO v_after
  FROM tallymark.job AS j WHERE j.id = accumulation_history.job_id;
  IF NOT FOUND THEN
    PERFORM tallymark.refuse_unknown_job(accumulation_history.job_id);
  ELSIF accumulation_history.field IS NULL THEN
    PERFORM tallymark.refuse_query('field', 'is required');
  END IF;
  v_state := tallymark.fold_ledger(accumulation_history.job_id, v_after);
  value := tallymark.field_value(v_state, accumulation_history.field);
  IF v_counts_areas THEN
    SELECT count(*) FILTER (WHERE a.details ->> 'type' = 'group') AS groups,
      count(*) FILTER (WHERE a.details ->> 'type' = 'project') AS projects
    INTO v_areas FROM tallymark.fold_areas(accumulation_history.job_id, v_after) AS a;
  END IF;

  -- In the order of the ledger. The state does not depend on the order of the updates, so the fold up to one event,
  -- merged with the next event, is the fold up to the next.
  FOR v_event IN
    SELECT e.* FROM tallymark.job_event AS e
    WHERE e.job_id = accumulation_history.job_id AND e.seq > v_after AND e.payload IS NOT NULL AND v_left > 0
    ORDER BY e.seq
  LOOP
    v_before := value;
    v_state := tallymark.merge_state(v_state, v_event.occurred_at, v_event.update_key,
      CASE WHEN v_event.payload ? 'itemKeys'
        THEN v_event.payload || jsonb_build_object('itemKeys', v_event.details -> 'counted') ELSE v_event.payload END);
    IF NOT v_event.payload ? 'areas' THEN
      NULL; -- as a rule
    ELSIF NOT v_counts_areas THEN
      -- Their numbers change no other field, but their names may leave no room for another type.
      v_state := tallymark.with_area_counts(v_state, '{"groups": 0, "projects": 0}');
    ELSIF v_path[1] IN ('itemsByType', 'summary', 'books', 'shortfall')
      OR NOT v_state.progress ?& '{processedItems,totalItems}' THEN
      -- The counts by type depend on all areas so far, because a newer update may change the type of one.
      v_known := v_areas;
      SELECT count(*) FILTER (WHERE a.details ->> 'type' = 'group') AS groups,
        count(*) FILTER (WHERE a.details ->> 'type' = 'project') AS projects
      INTO v_areas FROM tallymark.fold_areas(accumulation_history.job_id, v_event.seq) AS a;
      v_state := tallymark.with_area_counts(v_state, jsonb_build_object(
        'groups', v_areas.groups - v_known.groups, 'projects', v_areas.projects - v_known.projects));
    END IF;
    given := coalesce(v_event.payload #> v_path, v_event.payload -> v_legacy,
      CASE WHEN v_event.payload ? 'itemKeys' AND v_path[1] = 'itemsByType'
        THEN v_event.details #> (ARRAY['counted'] || v_path[2:]) END);
    value := tallymark.field_value(v_state, accumulation_history.field);
    IF given IS NOT NULL OR value IS DISTINCT FROM v_before THEN
      seq := v_event.seq;
      "timestamp" := v_event.occurred_at;
      event := v_event.event;
      RETURN NEXT;
      v_left := v_left - 1;
      v_bytes := v_bytes + coalesce(octet_length(given::text), 0) + coalesce(octet_length(value::text), 0);
      EXIT WHEN v_left = 0 OR v_bytes > c_most_bytes;
    END IF;
  END LOOP;
END
$$;

COMMENT ON FUNCTION tallymark.accumulation_history(text, text, bigint, integer) IS
'Shows how a field of a job got its value, in the order of the ledger.
Arguments: job_id: a registered job; field: a member of progress, such as processedItems or stage; a type, such as
itemsByType.issues or failedByType.issues; or status, resumeState, percentage, summary, books, shortfall, startedAt,
finishedAt; after_seq: the number of the
last event already seen, 0 or null to begin with the first; max_events: how many rows at most, 0 to 1001, null for
100, and about 16 MB of JSON.
Returns: a row for each update that gave the field or changed it: seq, timestamp (when it happened, by the crawler''s
clock), event, given (what the update gave; for keys of items, how many were new; null where the field changed for
another reason), value (what the job had after it, as in job_at; null for nothing). A late update that lost against a
newer one leaves value unchanged. The history begins after the pruned events.
Errors: TK404 where there is no such job; TK400 where job_id is null, empty or too long, or where field is null.
Callers: tallymark_reader, tallymark_admin.
Cost: folds the ledger up to the last event of the page. Where areas are counted, they are folded again for each
update that gave some.';

REVOKE ALL ON FUNCTION tallymark.accumulation_history(text, text, bigint, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.accumulation_history(text, text, bigint, integer)
  TO tallymark_reader, tallymark_admin;
