-- Hands out the messages that are due, each to one watcher.

CREATE OR REPLACE FUNCTION tallymark.claim_alert_messages(
  watcher text, lease interval DEFAULT '2 minutes', max_messages integer DEFAULT 20, max_age interval DEFAULT '1 day'
) RETURNS TABLE (
  job_id text, kind text, opened_at timestamptz, recovered boolean, message_id text, body text, delivered_to text[]
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_now CONSTANT timestamptz := clock_timestamp();
  v_lease CONSTANT timestamptz := v_now + claim_alert_messages.lease;
  v_oldest CONSTANT timestamptz := v_now - coalesce(claim_alert_messages.max_age, '1 day');
  v_alert tallymark.alert;
BEGIN
  PERFORM tallymark.keep_shards(NULL);
  FOR v_alert IN
    SELECT n.* FROM tallymark.alert AS n
    WHERE n.due_at <= v_now AND coalesce(n.recovered_at, n.opened_at) >= v_oldest
    ORDER BY n.due_at, n.job_id, n.kind
    LIMIT least(greatest(coalesce(claim_alert_messages.max_messages, 20), 0), 1000)
  LOOP
    -- Of two watchers that found the same message the second waits for the first and then finds it claimed.
    UPDATE tallymark.alert AS a
    SET claimed_by = claim_alert_messages.watcher, due_at = v_lease, attempts = a.attempts + 1
    WHERE a.job_id = v_alert.job_id AND a.kind = v_alert.kind AND a.opened_at = v_alert.opened_at AND a.due_at <= v_now
    RETURNING a.* INTO v_alert;
    IF FOUND THEN
      claim_alert_messages.job_id := v_alert.job_id;
      claim_alert_messages.kind := v_alert.kind;
      claim_alert_messages.opened_at := v_alert.opened_at;
      claim_alert_messages.recovered := v_alert.opening_sent_at IS NOT NULL;
      claim_alert_messages.message_id := left(encode(sha256(convert_to(jsonb_build_array(v_alert.job_id, v_alert.kind,
        (extract(epoch FROM v_alert.opened_at) * 1000000)::bigint)::text, 'UTF8')), 'hex'), 16)
        || CASE WHEN v_alert.opening_sent_at IS NULL THEN '-opened' ELSE '-recovered' END;
      claim_alert_messages.body := tallymark.alert_text(v_alert, v_alert.opening_sent_at IS NOT NULL);
      claim_alert_messages.delivered_to := v_alert.delivered_to;
      RETURN NEXT;
    END IF;
  END LOOP;
END
$$;

COMMENT ON FUNCTION tallymark.claim_alert_messages(text, interval, integer, interval) IS
'Hands out the messages about alerts that are due. Each alert has two: one when it is opened, and one when it is over,
which is handed out only after the first was sent. The caller must report the outcome of each to
confirm_alert_message or fail_alert_message.
Arguments: watcher: the caller, by a name that no other process has; lease: how long no other watcher gets these
messages, longer than sending takes (afterwards the message of a watcher that died is handed out again); max_messages:
how many messages at most, 0 to 1000, null for 20; max_age: messages about older openings and recoveries are not sent
any more, null for a day.
Returns: rows of job_id, kind, opened_at (these name the alert), recovered (which of its messages), message_id (the
same each time that it is handed out, so that a receiver can recognise a second copy), body (text for people),
delivered_to (the receivers that have it already).
Callers: tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.claim_alert_messages(text, interval, integer, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.claim_alert_messages(text, interval, integer, interval) TO tallymark_admin;
