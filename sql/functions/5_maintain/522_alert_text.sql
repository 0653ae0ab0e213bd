-- Writes the text of an alert for people.

CREATE OR REPLACE FUNCTION tallymark.alert_text(alert tallymark.alert, recovered boolean) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_facts CONSTANT jsonb := alert.facts;
  v_said text := left(v_facts ->> 'said', 300);
BEGIN
  IF alert_text.recovered THEN
    RETURN CASE alert.kind
      WHEN 'stalled' THEN 'The job is no longer silent: it was reported on, or is not running any more.'
      WHEN 'failed' THEN 'The job is no longer failed: it was started again, or is gone.'
      WHEN 'credentials' THEN 'The job no longer waits for credentials.'
      WHEN 'errors' THEN 'The job reports fewer errors again.'
      ELSE 'The job is what its ledger says again.' END
      || format(' It was noticed at %s and was over at %s.', tallymark.iso_timestamp(alert.opened_at),
        tallymark.iso_timestamp(alert.recovered_at));
  END IF;
  IF v_facts ? 'difference' THEN
    v_said := format('%s at event %s', v_facts #>> '{difference,field}', v_facts #>> '{difference,seq}');
  END IF;
  RETURN format(CASE alert.kind
    WHEN 'stalled' THEN 'Nobody has reported on the job since %1$s; by its habit it should have been heard of within '
      '%2$s s. See whether its crawler runs and can reach the server.'
    WHEN 'failed' THEN 'The job failed at %1$s. A crawler that reports started makes it run again.'
    WHEN 'credentials' THEN 'The job has been waiting for credentials since %1$s.'
    WHEN 'errors' THEN 'The job has reported %2$s errors since %1$s.'
    ELSE 'The job was not what its ledger says when it was checked at %1$s. See who was in the database by hand: '
      'tallymark verify names each difference.' END,
    v_facts ->> 'since', coalesce(v_facts ->> 'allowedSeconds', v_facts ->> 'errors'))
    || coalesce(' It was at ' || (v_facts ->> 'summary') || '.', '')
    || coalesce(E'\n' || v_said, '');
END
$$;

COMMENT ON FUNCTION tallymark.alert_text(tallymark.alert, boolean) IS
'Writes the text of an alert for people.
Arguments: alert: a row of tallymark.alert; recovered: whether to say that the condition is over.
Returns: a few sentences: what is wrong since when, and what to do about it; on a line of its own what the crawler
said.';

REVOKE ALL ON FUNCTION tallymark.alert_text(tallymark.alert, boolean) FROM PUBLIC;
