-- The one place that limits the size of an answer.

CREATE OR REPLACE FUNCTION tallymark.page_byte_limit() RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN 16777216;

COMMENT ON FUNCTION tallymark.page_byte_limit() IS
'Gives the number of bytes that the rows of one answer may take. A page that would be larger ends early.
Returns: 16777216 (16 MB).';

REVOKE ALL ON FUNCTION tallymark.page_byte_limit() FROM PUBLIC;
