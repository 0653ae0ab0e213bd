-- Reduces a message to what all occurrences of the same error have in common.

CREATE OR REPLACE FUNCTION tallymark.normalise_message(message text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_longest CONSTANT integer := 1000;
  v_text text := left(normalise_message.message, c_longest);
BEGIN
  -- Texts with a backslash are written as E'...': the caller's session says what it means in others.
  -- The order matters: a URL may contain all of the others, and a UUID contains numbers.
  v_text := regexp_replace(v_text, '[[:alpha:]][[:alnum:]+.-]*://[^[:space:]"''<>]+', '<url>', 'g');
  v_text := regexp_replace(v_text, E'\\y[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\\y', '<uuid>', 'gi');
  v_text := regexp_replace(v_text, '"[^"]*"|`[^`]*`', '<string>', 'g');
  -- An apostrophe inside a word is not a quotation mark.
  v_text := regexp_replace(v_text, '(^|[^[:alnum:]])''[^'']*''(?![[:alnum:]])', E'\\1<string>', 'g');
  v_text := regexp_replace(v_text, E'\\y(0x[0-9a-f]+|(?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{8,})\\y', '<hex>', 'gi');
  v_text := regexp_replace(v_text, '[0-9]+([.,:][0-9]+)*', '<number>', 'g');
  RETURN btrim(regexp_replace(v_text, '[[:space:]]+', ' ', 'g'));
END
$$;

COMMENT ON FUNCTION tallymark.normalise_message(text) IS
'Removes from a message what differs between occurrences of the same error, so that they can be counted together.
Replacing variable parts with patterns before grouping is the preprocessing of log parsers such as Drain (He, Zhu,
Zheng and Lyu, 2017).
Arguments: message: of which the first 1000 characters count.
Returns: the message with <url>, <uuid>, <string> (for quoted text), <hex> (for 0x..., or 8 and more hexadecimal
digits with letters among them) and <number> in place of these, and with single blanks; null for null.';

REVOKE ALL ON FUNCTION tallymark.normalise_message(text) FROM PUBLIC;
