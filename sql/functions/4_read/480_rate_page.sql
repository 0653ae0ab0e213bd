-- Gives a job's rate and frequency as one JSON document, as HTTP answers it.

CREATE OR REPLACE FUNCTION tallymark.rate_page(job_id text, recent interval DEFAULT '5 minutes') RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN tallymark.job_rate(rate_page.job_id, rate_page.recent) || jsonb_build_object('frequency', (
    SELECT jsonb_build_object('updates', f.updates, 'perMinute', f.per_minute,
      'medianGapSeconds', round(extract(epoch FROM f.median_gap), 3),
      'longGapSeconds', round(extract(epoch FROM f.long_gap), 3),
      'lastUpdateAt', tallymark.iso_timestamp(f.last_update))
    FROM tallymark.update_frequency(rate_page.job_id) AS f));
END
$$;

COMMENT ON FUNCTION tallymark.rate_page(text, interval) IS
'Gives the job_rate and the update_frequency of a job as one JSON document.
Arguments: job_id: a registered job; recent: the length of the window of the rate, greater than 0, null for 5 minutes.
Returns: what job_rate returns, with "frequency": {"updates", "perMinute", "medianGapSeconds", "longGapSeconds",
"lastUpdateAt"}.
Errors: TK404 where there is no such job; TK400 where job_id is null, empty or too long, or where recent is not
greater than 0.
Callers: tallymark_reader, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.rate_page(text, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.rate_page(text, interval) TO tallymark_reader, tallymark_admin;
