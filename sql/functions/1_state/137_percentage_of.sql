-- Gives a part of a whole in percent.

CREATE OR REPLACE FUNCTION tallymark.percentage_of(done numeric, total numeric) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN total > 0 THEN least(trunc(100 * done / total, 1), 100) END;

COMMENT ON FUNCTION tallymark.percentage_of(numeric, numeric) IS
'Gives a part of a whole in percent, with one decimal, rounded down, so that 100 means all of it.
Arguments: done: the part, 0 or more; total: the whole, or null.
Returns: 0 to 100; null where the whole is null or 0.
Callers: tallymark_reader, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.percentage_of(numeric, numeric) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.percentage_of(numeric, numeric) TO tallymark_reader, tallymark_admin;
