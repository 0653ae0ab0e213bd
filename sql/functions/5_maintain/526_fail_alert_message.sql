-- Records that a message about an alert could not be sent; it is handed out again later.

CREATE OR REPLACE FUNCTION tallymark.fail_alert_message(
  watcher text, job_id text, kind text, opened_at timestamptz, delivered_to text[], error text
) RETURNS timestamptz
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_most_attempts CONSTANT integer := 12; -- for about an hour
  v_now CONSTANT timestamptz := clock_timestamp();
  v_alert tallymark.alert;
BEGIN
  PERFORM tallymark.keep_shards(ARRAY[fail_alert_message.job_id]);
  SELECT a.* INTO v_alert FROM tallymark.alert AS a
  WHERE a.job_id = fail_alert_message.job_id AND a.kind = fail_alert_message.kind
    AND a.opened_at = fail_alert_message.opened_at AND a.claimed_by = fail_alert_message.watcher
    AND a.due_at IS NOT NULL
  FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  IF v_alert.attempts < c_most_attempts THEN
    v_alert.due_at := v_now + least(interval '5 seconds' * power(2, v_alert.attempts - 1), '10 minutes');
    v_alert.recovery_sent_at := NULL;
    v_alert.delivered_to := fail_alert_message.delivered_to;
  ELSE
    -- A receiver that cannot be reached for so long must not keep the message about the recovery from the others.
    v_alert.due_at := CASE WHEN v_alert.opening_sent_at IS NULL AND v_alert.recovered_at IS NOT NULL THEN v_now END;
    v_alert.recovery_sent_at := CASE WHEN v_alert.opening_sent_at IS NOT NULL THEN v_now END;
    v_alert.opening_sent_at := coalesce(v_alert.opening_sent_at, v_now);
    v_alert.attempts := 0;
    v_alert.delivered_to := '{}';
  END IF;
  v_alert.last_error := left(fail_alert_message.error, 500);
  UPDATE tallymark.alert AS a
  SET due_at = v_alert.due_at, opening_sent_at = v_alert.opening_sent_at, recovery_sent_at = v_alert.recovery_sent_at,
    attempts = v_alert.attempts, delivered_to = v_alert.delivered_to, last_error = v_alert.last_error
  WHERE a.job_id = v_alert.job_id AND a.kind = v_alert.kind AND a.opened_at = v_alert.opened_at;
  RETURN v_alert.due_at;
END
$$;

COMMENT ON FUNCTION tallymark.fail_alert_message(text, text, text, timestamptz, text[], text) IS
'Records that a message of claim_alert_messages could not be sent to all receivers.
Arguments: watcher: the watcher that claimed it; job_id, kind, opened_at: as it was handed out; delivered_to: the
receivers that have it and do not get it again; error: why the others did not get it, of which 500 characters are
kept.
Returns: when it is handed out again: after 5 seconds, then after twice as long each time, up to 10 minutes. After 12
attempts it is given up. If the alert is over by then, the result is when the message about its end is due; otherwise
null. Null also where another watcher has claimed it.
Callers: tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.fail_alert_message(text, text, text, timestamptz, text[], text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.fail_alert_message(text, text, text, timestamptz, text[], text) TO tallymark_admin;
