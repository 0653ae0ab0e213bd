-- Reads the cursor with which a page of jobs begins.

CREATE OR REPLACE FUNCTION tallymark.cursor_id(cursor text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF cursor_id.cursor IS NULL THEN
    RETURN ''; -- no id is empty: all come after it
  END IF;
  RETURN convert_from(decode(cursor_id.cursor, 'hex'), 'UTF8');
EXCEPTION WHEN invalid_parameter_value OR character_not_in_repertoire OR untranslatable_character THEN
  PERFORM tallymark.refuse_query('cursor', 'must be the next of an earlier page');
  RETURN NULL; -- not reached: refuse_query raises
END
$$;

COMMENT ON FUNCTION tallymark.cursor_id(text) IS
'Gives the id after which a page of jobs begins.
Arguments: cursor: the "next" of the page before, which is the last id there as UTF-8 in hexadecimal digits; null for
the first page.
Returns: the id; an empty text for the first page.
Errors: TK400 where the cursor is not valid.';

REVOKE ALL ON FUNCTION tallymark.cursor_id(text) FROM PUBLIC;
