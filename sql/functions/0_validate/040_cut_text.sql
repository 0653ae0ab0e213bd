-- Cuts a text to a number of bytes, between two characters.

CREATE OR REPLACE FUNCTION tallymark.cut_text(value text, most_bytes integer) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_bytes bytea := convert_to(left(cut_text.value, cut_text.most_bytes), 'UTF8');
  v_length integer := cut_text.most_bytes;
BEGIN
  IF length(v_bytes) <= v_length THEN
    RETURN left(cut_text.value, cut_text.most_bytes);
  END IF;
  -- A byte 10xxxxxx continues a character (RFC 3629, section 3).
  WHILE get_byte(v_bytes, v_length) BETWEEN 128 AND 191 LOOP
    v_length := v_length - 1;
  END LOOP;
  RETURN convert_from(substr(v_bytes, 1, v_length), 'UTF8');
END
$$;

COMMENT ON FUNCTION tallymark.cut_text(text, integer) IS
'Cuts a text so that it takes at most most_bytes bytes of UTF-8, never inside a character.
Returns: the beginning of the text, or all of it; null for null.';

REVOKE ALL ON FUNCTION tallymark.cut_text(text, integer) FROM PUBLIC;
