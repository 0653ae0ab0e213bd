-- Records that a message about an alert was sent.

CREATE OR REPLACE FUNCTION tallymark.confirm_alert_message(
  watcher text, job_id text, kind text, opened_at timestamptz, recovered boolean
) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_now CONSTANT timestamptz := clock_timestamp();
BEGIN
  UPDATE tallymark.alert AS a
  SET opening_sent_at = coalesce(a.opening_sent_at, v_now),
    recovery_sent_at = CASE WHEN confirm_alert_message.recovered THEN v_now END,
    -- If the condition is over by now, the message about that is due next.
    due_at = CASE WHEN NOT confirm_alert_message.recovered AND a.recovered_at IS NOT NULL THEN v_now END,
    attempts = 0, delivered_to = '{}', last_error = NULL
  WHERE a.job_id = confirm_alert_message.job_id AND a.kind = confirm_alert_message.kind
    AND a.opened_at = confirm_alert_message.opened_at AND a.claimed_by = confirm_alert_message.watcher
    AND (a.opening_sent_at IS NOT NULL) = confirm_alert_message.recovered AND a.recovery_sent_at IS NULL;
  RETURN FOUND;
END
$$;

COMMENT ON FUNCTION tallymark.confirm_alert_message(text, text, text, timestamptz, boolean) IS
'Records that a message of claim_alert_messages was sent to all receivers.
Arguments: watcher: the watcher that claimed it; job_id, kind, opened_at, recovered: as it was handed out.
Returns: true; false where the lease was over and another watcher has claimed it, or it was confirmed already.
Callers: tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.confirm_alert_message(text, text, text, timestamptz, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.confirm_alert_message(text, text, text, timestamptz, boolean) TO tallymark_admin;
