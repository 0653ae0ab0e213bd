-- How large an answer may become: the one place that says so.

CREATE OR REPLACE FUNCTION tallymark.page_byte_limit() RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN 16777216;

COMMENT ON FUNCTION tallymark.page_byte_limit() IS
'How many bytes the rows of one answer may take. A page that would be larger ends early.
Returns: 16 MB (16777216 bytes).';

REVOKE ALL ON FUNCTION tallymark.page_byte_limit() FROM PUBLIC;
