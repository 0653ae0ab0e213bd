-- Tells whether an update can be merged as it is. Most can: they are too short to need cutting, which begins at 1000
-- characters. One expression, which PostgreSQL inlines into its callers.

CREATE OR REPLACE FUNCTION tallymark.is_plain_update(job_id text, payload jsonb, canonical text, at timestamptz)
RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN at IS NOT NULL AND octet_length(canonical) <= 1000 AND strpos(canonical, ': null') = 0
  AND NOT payload ?| ARRAY['processed', 'total', 'groupCount', 'projectCount', 'errorTimestamp', 'lastAreasDiscovery',
    'areas', 'timeline', 'itemKeys', 'waitUntil']
  -- new_areas_discovered must give areas, and completed clears doneBeyond.
  AND (payload @> '{"status": "processing"}'
    OR (lower((payload ->> 'status') COLLATE "C") IN ('new_areas_discovered', 'completed')) IS NOT TRUE)
  AND tallymark.is_valid_update(job_id, payload);

COMMENT ON FUNCTION tallymark.is_plain_update(text, jsonb, text, timestamptz) IS
'Tells whether an update is valid and already in the form in which it is merged. Any other update goes through
prepare_update.
Arguments: job_id: the job that the update is for; payload: the update; canonical: its text as jsonb writes it; at:
its timestamp as parse_timestamp reads it.
Returns: true; false or null where that is not certain.';

REVOKE ALL ON FUNCTION tallymark.is_plain_update(text, jsonb, text, timestamptz) FROM PUBLIC;
