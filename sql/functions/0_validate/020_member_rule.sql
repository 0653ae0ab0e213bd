-- Describes what the wire protocol requires of each member.

CREATE OR REPLACE FUNCTION tallymark.member_rule(member text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN CASE
    WHEN member_rule.member = 'taskId' THEN 'must be the id of the job that is updated, a string of 1 to 255 characters'
    WHEN member_rule.member = 'status' THEN 'must be started, processing, waiting, completed, failed, paused, '
        'cancelled, new_areas_discovered, credential_expiry, credential_renewal or credential_resumed'
    WHEN member_rule.member IN ('timestamp', 'waitUntil')
      THEN 'must be an ISO 8601 date and time, such as 2025-01-06T19:15:30.000Z'
    WHEN member_rule.member IN ('processedItems', 'totalItems', 'processed', 'total', 'groupCount', 'projectCount',
      'groupTotal', 'projectTotal') THEN 'must be a whole number from 0 to 9007199254740991'
    WHEN member_rule.member IN ('itemsByType', 'foundByType', 'failedByType', 'skippedByType', 'totalsByType')
      THEN 'must be an object of at most 200 whole numbers'
    WHEN member_rule.member = 'itemKeys' THEN 'must be an object of at most 200 arrays of 1 to 1000 strings'
    WHEN member_rule.member IN ('currentDataType', 'stage', 'reason') THEN 'must be a string of at most 100 characters'
    WHEN member_rule.member = 'operationType'
      THEN 'must be discovery, branch_crawling, data_collection or finalization'
    WHEN member_rule.member = 'lastProcessedId' THEN 'must be a string of at most 255 characters'
    WHEN member_rule.member = 'doneBeyond' THEN 'must be an array of at most 1000 strings of 1 to 255 characters'
    WHEN member_rule.member = 'message' THEN 'must be a string'
    WHEN member_rule.member = 'error' THEN 'must be a string or an object'
    WHEN member_rule.member = 'progress' THEN 'must take at most 65536 bytes as JSON'
    WHEN member_rule.member = 'areas' THEN 'must be an array of at most 1000 objects'
    WHEN member_rule.member = 'credentialStatus' THEN 'must be an object'
    WHEN member_rule.member = 'timeline' THEN 'must be an array of at most 100 objects'
    WHEN member_rule.member = 'updateId' THEN 'must be a string of 1 to 255 characters'
    WHEN member_rule.member = 'workerId' THEN 'must be a string of 1 to 100 characters'
    WHEN member_rule.member = 'counting' THEN 'must be increment or cumulative'
  END;
END
$$;

COMMENT ON FUNCTION tallymark.member_rule(text) IS
'Describes what the wire protocol requires of a member of an update. The rule itself is in is_valid_update.
Arguments: member: the name of the member.
Returns: the text of a problem, such as must be a string; null for a member that may be anything.';

REVOKE ALL ON FUNCTION tallymark.member_rule(text) FROM PUBLIC;
