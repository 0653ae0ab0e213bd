-- How many bytes a JSON value takes.

CREATE OR REPLACE FUNCTION tallymark.json_bytes(value jsonb) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
-- jsonb writes a blank after each comma and colon, which the crawler need not have sent.
RETURN octet_length(replace(replace(value::text, ', ', ','), '": ', '":'));

COMMENT ON FUNCTION tallymark.json_bytes(jsonb) IS
'How many bytes a JSON value takes, written without blanks between its parts.
Arguments: value.
Returns: bytes of UTF-8; null for null. Blanks behind a comma inside of a string are not counted either, which only
favours the crawler.';

REVOKE ALL ON FUNCTION tallymark.json_bytes(jsonb) FROM PUBLIC;
