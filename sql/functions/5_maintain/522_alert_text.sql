-- Writes the text of an alert for people.

CREATE OR REPLACE FUNCTION tallymark.alert_text(alert tallymark.alert, recovered boolean) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_facts CONSTANT jsonb := alert.facts;
  c_most CONSTANT integer := 300;
  v_said text := left(v_facts ->> 'said', c_most);
BEGIN
  IF alert_text.recovered THEN
    RETURN CASE alert.kind
      WHEN 'stalled' THEN 'The job is no longer stalled: there was an update, or it is no longer running.'
      WHEN 'failed' THEN 'The failure is over: the job was restarted or deleted.'
      WHEN 'shortfall' THEN 'Nothing is missing from the job any more, or it was restarted or deleted.'
      WHEN 'credentials' THEN 'The job is no longer waiting for credentials.'
      WHEN 'errors' THEN 'The job reports fewer errors again.'
      WHEN 'unusual' THEN 'The job is no longer far behind the runs before it, or it is no longer running.'
      WHEN 'missed' THEN 'The next run has started, or the last one was deleted.'
      ELSE 'The state of the job matches its ledger again.' END
      || format(' The alert was opened at %s and closed at %s.', tallymark.iso_timestamp(alert.opened_at),
        tallymark.iso_timestamp(alert.recovered_at));
  END IF;
  IF v_facts ? 'difference' THEN
    v_said := format('%s at event %s', v_facts #>> '{difference,field}', v_facts #>> '{difference,seq}');
  END IF;
  RETURN format(CASE alert.kind
    WHEN 'stalled' THEN CASE v_facts ->> 'state'
      WHEN 'stuck' THEN 'The job is alive, no progress: the last sign of life came at %3$s, the last update at %1$s. '
        'By its habit an update was due within %2$s s%4$s. Look for what blocks its crawler.'
      WHEN 'never_reported' THEN 'The job was registered at %1$s, and no crawler has reported on it within %2$s s. '
        'Check whether its crawler was started with this id, the right address and a token that may write.'
      ELSE 'The job has had no update since %1$s; by its habit one was due within %2$s s%4$s. There has been no sign of '
        'life since %3$s. Check whether its crawler is running and can reach the server.' END
    WHEN 'failed' THEN 'The job failed at %1$s. It runs again when a crawler reports started.'
    WHEN 'shortfall' THEN 'The job reported completed at %1$s, but these are missing: %5$s. Look for what its crawler left '
      'out; it should report what failed or was skipped.'
    WHEN 'credentials' THEN 'The job has been waiting for credentials since %1$s.'
    WHEN 'unusual' THEN 'At %1$s, %7$s s after its start, the job had %6$s items. Each of the %8$s runs before it had at least '
      '%9$s by then, and the median %10$s. Look at what is missing, and whether its source has changed.'
    WHEN 'missed' THEN 'The next run of the series %11$s was due at %12$s, and counts as missed since %1$s. This job, its last '
      'run, started at %13$s. Check what starts the runs.'
    WHEN 'errors' THEN CASE v_facts ->> 'errors' WHEN '1' THEN 'The job reported 1 error at %1$s.'
      ELSE 'The job has reported %2$s errors since %1$s.' END
    ELSE 'The state of the job did not match its ledger when it was verified at %1$s. Check who changed the '
      'database by hand; tallymark verify names each difference.' END,
    v_facts ->> 'since', coalesce(v_facts ->> 'allowedSeconds', v_facts ->> 'errors'),
    greatest((v_facts ->> 'aliveAt') COLLATE "C", (v_facts ->> 'since') COLLATE "C"),
    coalesce(' after the end of its wait at ' || (v_facts ->> 'waitUntil'), '')
      || coalesce(' (' || nullif(v_facts ->> 'reason', '') || ')', ''),
    tallymark.counts_text(v_facts -> 'shortfall'),
    v_facts ->> 'items', round((v_facts -> 'elapsedSeconds')::numeric), v_facts ->> 'runs', v_facts ->> 'lowest',
    v_facts ->> 'usual', v_facts ->> 'series', v_facts ->> 'dueAt', v_facts ->> 'lastStartedAt')
    || coalesce(' Its progress was ' || (v_facts ->> 'summary') || '.', '')
    || coalesce(E'\n' || nullif(v_said, ''), '') || coalesce(E'\n' || left(v_facts ->> 'guidance', c_most), '');
END
$$;

COMMENT ON FUNCTION tallymark.alert_text(tallymark.alert, boolean) IS
'Writes the text of an alert for people.
Arguments: alert: a row of tallymark.alert; recovered: whether to say that the condition is over.
Returns: a few sentences: what is wrong since when, and what to do about it; on lines of their own what the crawler
said, and what to do about its credentials.';

REVOKE ALL ON FUNCTION tallymark.alert_text(tallymark.alert, boolean) FROM PUBLIC;
