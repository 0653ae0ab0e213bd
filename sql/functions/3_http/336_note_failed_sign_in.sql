-- Records a failed attempt to sign in.

CREATE OR REPLACE FUNCTION tallymark.note_failed_sign_in(source text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_most_deleted CONSTANT integer := 10;
  c_highest CONSTANT integer := 1000000; -- more are no longer counted
  c_lock CONSTANT bigint := 531974614; -- arbitrary, but not used elsewhere
  v_now CONSTANT timestamptz := clock_timestamp();
  v_forgotten CONSTANT timestamptz := v_now - interval '15 minutes';
BEGIN
  IF note_failed_sign_in.source IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'TK400', MESSAGE = 'Invalid sign-in',
      DETAIL = '[{"field": "source", "problem": "must not be null"}]';
  END IF;
  INSERT INTO tallymark.sign_in AS s (source, failures, last_failed_at)
  VALUES (left(note_failed_sign_in.source, 255), 1, v_now)
  ON CONFLICT ON CONSTRAINT sign_in_pkey DO UPDATE
  SET failures = CASE WHEN s.last_failed_at > v_forgotten THEN least(s.failures + 1, c_highest) ELSE 1 END,
    last_failed_at = greatest(s.last_failed_at, v_now);
  -- Deletes more rows than it adds, so that the table stays small. Only one session at a time does so, and the others
  -- skip it instead of waiting: each of them holds only its own row, so there can be no deadlock.
  IF pg_try_advisory_xact_lock(c_lock) THEN
    DELETE FROM tallymark.sign_in AS d
    WHERE d.last_failed_at <= v_forgotten
      AND d.source = ANY (ARRAY(
        SELECT o.source FROM tallymark.sign_in AS o
        WHERE o.last_failed_at <= v_forgotten ORDER BY o.last_failed_at LIMIT c_most_deleted));
  END IF;
END
$$;

COMMENT ON FUNCTION tallymark.note_failed_sign_in(text) IS
'Records a failed attempt to sign in to the dashboard, and deletes a few records that are older than 15 minutes.
Arguments: source: where the attempt came from, such as an address, of which the first 255 characters count.
Returns: nothing.
Errors: TK400 where source is null.
Callers: tallymark_writer, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.note_failed_sign_in(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.note_failed_sign_in(text) TO tallymark_writer, tallymark_admin;
