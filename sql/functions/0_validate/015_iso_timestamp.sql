-- Writes an instant as the wire protocol does.

CREATE OR REPLACE FUNCTION tallymark.iso_timestamp(instant timestamptz) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
-- Milliseconds, as the original writes them, unless the instant has microseconds that this would lose.
RETURN to_char(
  instant AT TIME ZONE 'UTC',
  CASE WHEN date_trunc('milliseconds', instant AT TIME ZONE 'UTC') = instant AT TIME ZONE 'UTC'
    THEN 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'
    ELSE 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
  END
);

COMMENT ON FUNCTION tallymark.iso_timestamp(timestamptz) IS
'Writes an instant as ISO 8601 text in UTC, such as 2025-01-06T19:15:30.000Z.
Returns: the text, with milliseconds, or with microseconds where the instant has them; null for null.';

REVOKE ALL ON FUNCTION tallymark.iso_timestamp(timestamptz) FROM PUBLIC;
