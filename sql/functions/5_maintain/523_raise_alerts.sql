-- Opens alerts for what is wrong and closes those that are over: once for each episode, however many processes watch.

CREATE OR REPLACE FUNCTION tallymark.raise_alerts(
  max_age interval DEFAULT '1 day', most_errors integer DEFAULT 10, errors_within interval DEFAULT '5 minutes',
  never_reported interval DEFAULT '1 hour'
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_watching CONSTANT integer := 2003788904; -- the class of our advisory locks, "watc"
  v_now timestamptz;
  v_alert tallymark.alert;
  v_condition record;
  v_opened bigint := 0;
  v_recovered bigint := 0;
BEGIN
  PERFORM tallymark.keep_shards(NULL);
  -- One caller at a time, in statements that see what the caller before has done: a condition that was read before
  -- another caller closed its alert would open it again. Such locks belong to a server, so a query takes it that runs on
  -- one and the same wherever this is called: no job has this id, and the count is 0.
  PERFORM pg_advisory_xact_lock(c_watching, count(*)::integer) FROM tallymark.alert AS a WHERE a.job_id = '';
  v_now := clock_timestamp();
  FOR v_alert IN SELECT a.* FROM tallymark.alert AS a WHERE a.recovered_at IS NULL ORDER BY a.job_id, a.kind LOOP
    IF NOT tallymark.alert_holds(
      v_alert.job_id, v_alert.kind, v_alert.facts, raise_alerts.most_errors, raise_alerts.errors_within)
    THEN
      UPDATE tallymark.alert AS a
      SET recovered_at = v_now,
        -- The message about the opening goes first: while it is pending, its due time stays.
        due_at = CASE WHEN a.opening_sent_at IS NULL THEN a.due_at ELSE v_now END
      WHERE a.job_id = v_alert.job_id AND a.kind = v_alert.kind AND a.opened_at = v_alert.opened_at
        -- The servers of a distributed database do not commit at the same moment.
        AND a.recovered_at IS NULL;
      v_recovered := v_recovered + FOUND::integer;
    END IF;
  END LOOP;
  FOR v_condition IN
    SELECT c.* FROM tallymark.alert_conditions(raise_alerts.max_age, raise_alerts.most_errors,
      raise_alerts.errors_within, raise_alerts.never_reported) AS c
  LOOP
    INSERT INTO tallymark.alert AS a (job_id, kind, facts, opened_at, due_at)
    VALUES (v_condition.job_id, v_condition.kind, v_condition.facts, v_now, v_now)
    ON CONFLICT (job_id, kind) WHERE recovered_at IS NULL DO NOTHING;
    IF FOUND THEN
      v_opened := v_opened + 1;
    END IF;
  END LOOP;
  RETURN jsonb_build_object('opened', v_opened, 'recovered', v_recovered,
    'open', (SELECT count(*) FROM tallymark.alert AS a WHERE a.recovered_at IS NULL));
END
$$;

COMMENT ON FUNCTION tallymark.raise_alerts(interval, integer, interval, interval) IS
'Looks at all jobs, opens an alert for each condition that has none, and closes the alerts whose condition is over.
Arguments: as those of alert_conditions.
Returns: {"opened" and "recovered": how many alerts were opened and closed, "open": how many are open now}.
Callers: tallymark_admin.
Locks: one caller at a time; no job.
Cost: that of alert_conditions, and a look at the job of each open alert.';

REVOKE ALL ON FUNCTION tallymark.raise_alerts(interval, integer, interval, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.raise_alerts(interval, integer, interval, interval) TO tallymark_admin;
