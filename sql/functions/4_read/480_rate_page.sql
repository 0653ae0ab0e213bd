-- How fast a job is going and how often it is reported on, as one JSON document, as HTTP gives it.

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
'job_rate and update_frequency of a job as one JSON document.
Arguments: job_id; recent, over how long the rate is taken.
Returns: what job_rate returns, with "frequency": {"updates", "perMinute", "medianGapSeconds", "longGapSeconds",
"lastUpdateAt"}.
Errors: TK404, no such job; TK400, no window.';

REVOKE ALL ON FUNCTION tallymark.rate_page(text, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.rate_page(text, interval) TO tallymark_reader, tallymark_admin;
