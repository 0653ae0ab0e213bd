-- The limit on the names in a job's state, once.

CREATE OR REPLACE FUNCTION tallymark.most_names() RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN 1000;

COMMENT ON FUNCTION tallymark.most_names() IS
'Gives how many types of items the state of a job names, and how many fields that the wire protocol does not know.
Returns: the number.';

REVOKE ALL ON FUNCTION tallymark.most_names() FROM PUBLIC;
