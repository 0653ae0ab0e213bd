-- Gives an event's details in the original's shape: what the update gave and what was known only during the merge. The
-- view events calls it with the rights of who selects, so it has its owner's for the functions that it calls.

CREATE OR REPLACE FUNCTION tallymark.event_details(payload jsonb, facts jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  p CONSTANT jsonb := event_details.payload;
  v_details jsonb;
BEGIN
  IF p IS NULL THEN
    RETURN coalesce(event_details.facts, '{}'); -- an event of the crawler's own
  END IF;
  -- Events are read by the thousand, so the faster function removes the nulls where no value has members of its own.
  v_details := jsonb_strip_nulls(jsonb_build_object(
    'status', tallymark.update_status(p),
    'processedItems', p -> 'processedItems', 'totalItems', p -> 'totalItems',
    'currentDataType', p -> 'currentDataType', 'stage', p -> 'stage', 'operationType', p -> 'operationType',
    'groupCount', p -> 'groupCount', 'projectCount', p -> 'projectCount',
    'groupTotal', p -> 'groupTotal', 'projectTotal', p -> 'projectTotal',
    'lastProcessedId', p -> 'lastProcessedId', 'message', p -> 'message', 'workerId', p -> 'workerId'));
  IF jsonb_typeof(p -> 'itemsByType') = 'object' THEN
    v_details := v_details || jsonb_build_object('itemsByType', p -> 'itemsByType');
  END IF;
  IF p ?| ARRAY['foundByType', 'failedByType', 'skippedByType', 'totalsByType'] THEN
    v_details := v_details || tallymark.without_nulls(jsonb_build_object('foundByType', p -> 'foundByType',
      'failedByType', p -> 'failedByType', 'skippedByType', p -> 'skippedByType', 'totalsByType', p -> 'totalsByType'));
  END IF;
  IF jsonb_typeof(p -> 'itemKeys') = 'object' THEN
    v_details := v_details || coalesce(
      tallymark.item_counts(p -> 'itemKeys', event_details.facts -> 'counted'), '{}');
  END IF;
  IF lower((p ->> 'status') COLLATE "C") = 'waiting' THEN
    v_details := v_details || jsonb_strip_nulls(
      jsonb_build_object('waitUntil', p -> 'waitUntil', 'reason', p -> 'reason'));
  END IF;
  IF p ?| ARRAY['lastAreasDiscovery', 'credentialStatus'] THEN
    v_details := v_details || tallymark.without_nulls(jsonb_build_object(
      'groupsCount', p #> '{lastAreasDiscovery,groupsCount}',
      'projectsCount', p #> '{lastAreasDiscovery,projectsCount}',
      'totalDiscovered', p #> '{lastAreasDiscovery,totalDiscovered}', 'credentialStatus', p -> 'credentialStatus'));
  END IF;
  IF jsonb_typeof(p -> 'error') = 'object' THEN
    v_details := v_details || tallymark.without_nulls(jsonb_build_object('errorType', p -> 'error' -> 'type',
      'errorMessage', p -> 'error' -> 'message', 'errorCode', p -> 'error' -> 'code',
      'stack', p -> 'error' -> 'stack', 'context', p -> 'error' -> 'context'));
  ELSIF jsonb_typeof(p -> 'error') <> 'null' THEN
    v_details := v_details || jsonb_build_object('errorMessage', p -> 'error');
  END IF;
  RETURN v_details || coalesce(event_details.facts, '{}');
END
$$;

COMMENT ON FUNCTION tallymark.event_details(jsonb, jsonb) IS
'Gives the details of a timeline event in the original''s shape. Pure: it reads no table.
Arguments: payload: the update that the event stands for, null for an event of the crawler''s own; facts: what the
ledger keeps beside the update.
Returns: an object with those of status, processedItems, totalItems, itemsByType, currentDataType, stage,
operationType, groupCount, projectCount, groupTotal, projectTotal, groupsCount, projectsCount, totalDiscovered (how
many areas of each type), foundByType, failedByType, skippedByType, totalsByType, lastProcessedId, message, workerId,
credentialStatus, errorType, errorMessage, errorCode, stack, context that the update gave, for a wait also waitUntil and
reason, and with fromStage, toStage, finalCounts, duration (milliseconds), summary, shortfall, newGroups, newProjects
where the event has them; of an update with itemKeys counted and seenBefore, how many of its keys of each type were new
to the job, and how many were not.
Callers: tallymark_reader, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.event_details(jsonb, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.event_details(jsonb, jsonb) TO tallymark_reader, tallymark_admin;
