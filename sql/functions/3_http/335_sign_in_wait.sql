-- How long somebody has to wait before trying to sign in again.

CREATE OR REPLACE FUNCTION tallymark.sign_in_wait(source text) RETURNS integer
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_free CONSTANT integer := 5;
  c_longest CONSTANT integer := 60;
BEGIN
  RETURN coalesce((
    -- Never longer than the longest, also where the server's clock was set back.
    SELECT least(c_longest, greatest(0, ceil(extract(epoch FROM s.last_failed_at - clock_timestamp())
      + least(c_longest, 2 ^ least(s.failures - c_free, 10)))::integer))
    FROM tallymark.sign_in AS s
    WHERE s.source = left(sign_in_wait.source, 255) AND s.failures > c_free
      AND s.last_failed_at > clock_timestamp() - interval '15 minutes'), 0);
END
$$;

COMMENT ON FUNCTION tallymark.sign_in_wait(text) IS
'How long whoever tries to sign in has to wait before trying again: 5 failures are free, after each further one it is 2,
4, 8 and so on up to 60 seconds from the last failure, and 15 minutes after that all are forgotten.
Arguments: source, where the attempts come from, such as an address, of which the first 255 characters count.
Returns: seconds, rounded up; 0 for at once.';

REVOKE ALL ON FUNCTION tallymark.sign_in_wait(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.sign_in_wait(text) TO tallymark_writer, tallymark_admin;
