-- Gives the size of a JSON value.

CREATE OR REPLACE FUNCTION tallymark.json_bytes(value jsonb) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
-- jsonb writes a blank after each comma and colon, which the crawler need not have sent.
RETURN octet_length(replace(replace(value::text, ', ', ','), '": ', '":'));

COMMENT ON FUNCTION tallymark.json_bytes(jsonb) IS
'Gives the size of a JSON value in bytes of UTF-8, written without blanks between its parts.
Returns: the number of bytes; null for null. Blanks after a comma inside a string are not counted either, which is in
the crawler''s favour.';

REVOKE ALL ON FUNCTION tallymark.json_bytes(jsonb) FROM PUBLIC;
