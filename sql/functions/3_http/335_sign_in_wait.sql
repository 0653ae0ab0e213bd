-- Tells how long to wait before the next attempt to sign in.

CREATE OR REPLACE FUNCTION tallymark.sign_in_wait(source text) RETURNS integer
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_free CONSTANT integer := 5;
  c_longest CONSTANT integer := 60;
  v_now CONSTANT timestamptz := clock_timestamp();
  v_forgotten CONSTANT timestamptz := v_now - interval '15 minutes';
BEGIN
  RETURN coalesce((
    -- Never longer than c_longest, even after the server's clock was set back.
    SELECT least(c_longest, greatest(0, ceil(extract(epoch FROM s.last_failed_at - v_now)
      + least(c_longest, 2 ^ least(s.failures - c_free, 10)))::integer))
    FROM tallymark.sign_in AS s
    WHERE s.source = left(sign_in_wait.source, 255) AND s.failures > c_free
      AND s.last_failed_at > v_forgotten), 0);
END
$$;

COMMENT ON FUNCTION tallymark.sign_in_wait(text) IS
'Tells how long a source has to wait before it may try to sign in to the dashboard again. The first 5 failures cost
nothing; after each further one the wait is 2, 4, 8 seconds and so on, up to 60, from the last failure. All failures
are forgotten 15 minutes after the last.
Arguments: source: where the attempts come from, such as an address, of which the first 255 characters count.
Returns: seconds, rounded up; 0 where there is no wait.
Callers: tallymark_writer, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.sign_in_wait(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.sign_in_wait(text) TO tallymark_writer, tallymark_admin;
