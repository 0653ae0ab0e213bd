-- Deletes alerts that have been over, or open, for long.

CREATE OR REPLACE FUNCTION tallymark.forget_alerts(older_than interval DEFAULT '90 days') RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_before CONSTANT timestamptz := clock_timestamp() - coalesce(forget_alerts.older_than, '90 days');
  v_forgotten bigint;
BEGIN
  DELETE FROM tallymark.alert AS a
  -- Operators know what has been wrong for so long. A mismatch stays, since it would be reported again.
  WHERE coalesce(a.recovered_at, CASE WHEN a.kind <> 'mismatch' THEN a.opened_at END) < v_before;
  GET DIAGNOSTICS v_forgotten = ROW_COUNT;
  RETURN v_forgotten;
END
$$;

COMMENT ON FUNCTION tallymark.forget_alerts(interval) IS
'Deletes alerts that have been over for long, and alerts that have been open for as long, except a mismatch.
Arguments: older_than: for how long, null for 90 days.
Returns: how many alerts were deleted.
Callers: tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.forget_alerts(interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.forget_alerts(interval) TO tallymark_admin;
