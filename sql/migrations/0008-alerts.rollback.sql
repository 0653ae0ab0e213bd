-- Takes the alerts away, and how jobs compared with their ledgers.

SET LOCAL lock_timeout = '2s';
SET LOCAL search_path = pg_catalog, pg_temp;

DO $$
DECLARE
  v_functions CONSTANT text[] := ARRAY(
    SELECT p.oid::pg_catalog.regprocedure::text FROM pg_catalog.pg_proc AS p
    WHERE p.pronamespace = 'tallymark'::pg_catalog.regnamespace
      AND p.proname IN ('alert_conditions', 'alert_holds', 'alert_text', 'raise_alerts', 'claim_alert_messages',
        'confirm_alert_message', 'fail_alert_message', 'list_alerts', 'forget_alerts', 'note_verification',
        'verify_next_jobs'));
  v_function text;
BEGIN
  FOREACH v_function IN ARRAY v_functions LOOP
    EXECUTE 'DROP FUNCTION IF EXISTS ' || v_function || ' CASCADE';
  END LOOP;
END
$$;

DROP TABLE IF EXISTS tallymark.alert;
DROP TABLE IF EXISTS tallymark.job_check;
