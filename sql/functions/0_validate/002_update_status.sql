-- Gives the status that an accepted update reported. One expression, which PostgreSQL inlines into its callers.

CREATE OR REPLACE FUNCTION tallymark.update_status(payload jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN payload IS NOT NULL THEN coalesce(lower((payload ->> 'status') COLLATE "C"), 'processing') END;

COMMENT ON FUNCTION tallymark.update_status(jsonb) IS
'Gives the status that an accepted update reported. Pure: it reads no table.
Arguments: payload: the update as the ledger has it.
Returns: the status in lower case, processing where the update gave none; null for null.
Callers: tallymark_reader, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.update_status(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.update_status(jsonb) TO tallymark_reader, tallymark_admin;
