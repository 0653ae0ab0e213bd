-- The one definition of an event as a JSON document, for all pages that show events. One expression and STABLE, so that
-- PostgreSQL inlines it.

CREATE OR REPLACE FUNCTION tallymark.event_document(
  seq bigint, "timestamp" timestamptz, event text, details jsonb, recorded_at timestamptz
) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE
RETURN jsonb_build_object('seq', seq, 'timestamp', tallymark.iso_timestamp("timestamp"), 'event', event,
  'details', details, 'recordedAt', tallymark.iso_timestamp(recorded_at));

COMMENT ON FUNCTION tallymark.event_document(bigint, timestamptz, text, jsonb, timestamptz) IS
'Gives an event of a job''s timeline as a JSON document.
Arguments: the columns of a row that timeline returns.
Returns: {"seq", "timestamp", "event", "details", "recordedAt"}, both times as ISO 8601 text in UTC.';

REVOKE ALL ON FUNCTION tallymark.event_document(bigint, timestamptz, text, jsonb, timestamptz) FROM PUBLIC;
