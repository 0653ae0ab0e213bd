-- The rules of the wire protocol for the members that most updates do not have.

CREATE OR REPLACE FUNCTION tallymark.rare_members_hold(payload jsonb) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN jsonb_path_match(rare_members_hold.payload, '
    !($.*.type() == "null")
    && !($.processed.type() != "number")
    && !exists($.processed ? (@ < 0 || @ > 9007199254740991 || @.floor() != @))
    && !($.total.type() != "number")
    && !exists($.total ? (@ < 0 || @ > 9007199254740991 || @.floor() != @))
    && !($.groupCount.type() != "number")
    && !exists($.groupCount ? (@ < 0 || @ > 9007199254740991 || @.floor() != @))
    && !($.projectCount.type() != "number")
    && !exists($.projectCount ? (@ < 0 || @ > 9007199254740991 || @.floor() != @))
    && !($.groupTotal.type() != "number")
    && !exists($.groupTotal ? (@ < 0 || @ > 9007199254740991 || @.floor() != @))
    && !($.projectTotal.type() != "number")
    && !exists($.projectTotal ? (@ < 0 || @ > 9007199254740991 || @.floor() != @))
    && !($.updateId.type() != "string") && !($.updateId == "")
    && !($.workerId.type() != "string") && !($.workerId == "")
    && !exists($.error.type() ? (@ != "string" && @ != "object"))
    && !($.credentialStatus.type() != "object")
    && !($.areas.type() != "array") && !($.areas.size() > 1000) && !($.areas[*].type() != "object")
    && !($.timeline.type() != "array") && !($.timeline.size() > 100)
    && !($.doneBeyond.type() != "array") && !($.doneBeyond.size() > 1000)
    && !($.doneBeyond[*].type() != "string") && !($.doneBeyond[*] == "")
  ')
  AND (char_length(rare_members_hold.payload ->> 'updateId') <= 255) IS NOT FALSE
  AND (char_length(rare_members_hold.payload ->> 'workerId') <= 100) IS NOT FALSE
  AND (rare_members_hold.payload -> 'counting' IN ('"increment"', '"cumulative"')) IS NOT FALSE
  AND (tallymark.json_bytes(rare_members_hold.payload -> 'progress') <= 65536) IS NOT FALSE
  -- With another status these are fields of the crawler's own, which may be anything.
  AND (tallymark.job_status(rare_members_hold.payload ->> 'status') IS DISTINCT FROM 'waiting'
    OR (jsonb_typeof(rare_members_hold.payload -> 'waitUntil') = 'string') IS NOT FALSE
      AND (jsonb_typeof(rare_members_hold.payload -> 'reason') = 'string') IS NOT FALSE
      AND (char_length(rare_members_hold.payload ->> 'reason') <= 100) IS NOT FALSE)
  -- A list of at most 255 bytes has no cursor that is too long. A value that is not an array was refused above.
  AND CASE WHEN octet_length((rare_members_hold.payload -> 'doneBeyond')::text) > 255
      AND jsonb_typeof(rare_members_hold.payload -> 'doneBeyond') = 'array'
    THEN NOT EXISTS (SELECT FROM jsonb_array_elements_text(rare_members_hold.payload -> 'doneBeyond') AS d (cursor)
      WHERE char_length(d.cursor) > 255)
    ELSE true END
  AND CASE WHEN rare_members_hold.payload ? 'itemKeys' THEN tallymark.item_keys_hold(rare_members_hold.payload)
    ELSE true END;
END
$$;

COMMENT ON FUNCTION tallymark.rare_members_hold(jsonb) IS
'Tells whether the members that most updates do not have (updateId, workerId, counting, error, progress, areas,
timeline, credentialStatus, itemKeys, doneBeyond, waitUntil and reason of a wait, and the legacy names) keep to the
wire protocol.
Arguments: payload: the update, a JSON object without members that are null.
Returns: true or false.';

REVOKE ALL ON FUNCTION tallymark.rare_members_hold(jsonb) FROM PUBLIC;
