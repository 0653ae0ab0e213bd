-- The answer to most updates. One expression, which PostgreSQL inlines into its callers, so that they need not call
-- acknowledgement for it.

CREATE OR REPLACE FUNCTION tallymark.plain_acknowledgement(
  job_id text, command text, seq bigint, payload jsonb, warnings jsonb
) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE WHEN command IS NULL AND warnings = '[]' AND payload @> '{"status": "processing"}'
  -- What is the same in all answers is a constant: one member in jsonb_build_object costs as much as ten there.
  THEN '{"status": "received", "duplicate": false, "warnings": [], "command": null}' || jsonb_build_object(
    'seq', seq, 'message', 'Progress update acknowledged for task ' || job_id) END;

COMMENT ON FUNCTION tallymark.plain_acknowledgement(text, text, bigint, jsonb, jsonb) IS
'Builds the answer to an update that was accepted and is no duplicate, where there is no more to say than that.
Arguments: job_id: the job; command: the one that is pending; seq: the number of the update''s event; payload: the
update; warnings: an array of texts.
Returns: the acknowledgement of the wire protocol; null where it has more: see acknowledgement.';

REVOKE ALL ON FUNCTION tallymark.plain_acknowledgement(text, text, bigint, jsonb, jsonb) FROM PUBLIC;
