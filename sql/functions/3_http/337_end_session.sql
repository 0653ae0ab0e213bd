-- Records that somebody has signed out of a session of the dashboard.

CREATE OR REPLACE FUNCTION tallymark.end_session(digest bytea, seconds integer) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_most_deleted CONSTANT integer := 10;
  c_longest CONSTANT integer := 366 * 86400;
  c_lock CONSTANT bigint := 531974615; -- arbitrary, but not used elsewhere
  v_now CONSTANT timestamptz := clock_timestamp();
  v_problems jsonb;
BEGIN
  SELECT jsonb_agg(jsonb_build_object('field', p.field, 'problem', p.problem)) INTO v_problems
  FROM (VALUES
    ('digest', 'must be 32 bytes', octet_length(end_session.digest) IS DISTINCT FROM 32),
    ('seconds', 'must be 1 to ' || c_longest, (end_session.seconds BETWEEN 1 AND c_longest) IS NOT TRUE)
    ) AS p (field, problem, is_wrong)
  WHERE p.is_wrong;
  IF v_problems IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'TK400', MESSAGE = 'Invalid session', DETAIL = v_problems::text;
  END IF;
  INSERT INTO tallymark.ended_session AS s (digest, kept_until)
  VALUES (end_session.digest, v_now + end_session.seconds * interval '1 s')
  ON CONFLICT ON CONSTRAINT ended_session_pkey DO UPDATE SET kept_until = greatest(s.kept_until, excluded.kept_until);
  -- Deletes more rows than it adds, so that the table stays small. Only one session at a time does so, and the others
  -- skip it instead of waiting: each of them holds only its own row, so there can be no deadlock.
  IF pg_try_advisory_xact_lock(c_lock) THEN
    DELETE FROM tallymark.ended_session AS d
    WHERE d.kept_until <= v_now
      AND d.digest = ANY (ARRAY(
        SELECT o.digest FROM tallymark.ended_session AS o
        WHERE o.kept_until <= v_now ORDER BY o.kept_until LIMIT c_most_deleted));
  END IF;
END
$$;

COMMENT ON FUNCTION tallymark.end_session(bytea, integer) IS
'Records that somebody has signed out of a session of the dashboard, and deletes a few records that are out of date.
Ending it again changes nothing but how long it is kept.
Arguments: digest: the SHA-256 of the session''s id, 32 bytes; seconds: how long its cookie could still be used, 1 to
31622400.
Returns: nothing.
Errors: TK400 where an argument is not valid, with all problems in DETAIL as a JSON array of {"field", "problem"}.
Callers: tallymark_writer, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.end_session(bytea, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.end_session(bytea, integer) TO tallymark_writer, tallymark_admin;
