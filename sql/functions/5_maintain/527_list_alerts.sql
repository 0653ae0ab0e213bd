-- Lists alerts, the newest first.

CREATE OR REPLACE FUNCTION tallymark.list_alerts(
  only_open boolean DEFAULT true, max_alerts integer DEFAULT 1000, id_prefix text DEFAULT NULL
) RETURNS TABLE (
  job_id text, kind text, opened_at timestamptz, recovered_at timestamptz, told_at timestamptz, says text, facts jsonb,
  last_error text
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
  v_alert tallymark.alert;
BEGIN
  FOR v_alert IN
    SELECT a.* FROM tallymark.alert AS a
    WHERE (a.recovered_at IS NULL OR list_alerts.only_open IS FALSE)
      AND (list_alerts.id_prefix IS NULL OR starts_with(a.job_id, list_alerts.id_prefix))
    ORDER BY a.opened_at DESC, a.job_id, a.kind
    LIMIT least(greatest(coalesce(list_alerts.max_alerts, 1000), 0), 10000)
  LOOP
    RETURN QUERY SELECT v_alert.job_id, v_alert.kind, v_alert.opened_at, v_alert.recovered_at, v_alert.opening_sent_at,
      tallymark.alert_text(v_alert, v_alert.recovered_at IS NOT NULL), v_alert.facts, v_alert.last_error;
  END LOOP;
END
$$;

COMMENT ON FUNCTION tallymark.list_alerts(boolean, integer, text) IS
'Lists alerts, the last opened first, as of the last call of raise_alerts, which tallymark watchdog makes. The view
current_alerts shows the open ones.
Arguments: only_open: true or null for open alerts only, false for all; max_alerts: how many alerts at most, 0 to
10000, null for 1000; id_prefix: only jobs whose ids begin with this, null for all.
Returns: rows of job_id, kind, opened_at, recovered_at (null while it is open), told_at (when the message about the
opening was sent or given up, null where not yet), says (text for people), facts (see alert_conditions), last_error
(why a message could not be sent).
Callers: tallymark_reader, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.list_alerts(boolean, integer, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.list_alerts(boolean, integer, text) TO tallymark_reader, tallymark_admin;
