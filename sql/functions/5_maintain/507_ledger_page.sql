-- Reads the ledger of a job as it is stored, for an archive.

CREATE OR REPLACE FUNCTION tallymark.ledger_page(
  job_id text, after_seq bigint DEFAULT 0, max_events integer DEFAULT 1000
) RETURNS TABLE (seq bigint, event jsonb)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET TimeZone = 'UTC' -- the form of times in JSON
AS $$
DECLARE
  c_most_bytes CONSTANT bigint := tallymark.page_byte_limit();
BEGIN
  IF NOT EXISTS (SELECT 1 FROM tallymark.job AS j WHERE j.id = ledger_page.job_id) THEN
    PERFORM tallymark.refuse_unknown_job(ledger_page.job_id);
  END IF;
  RETURN QUERY
  SELECT p.seq, to_jsonb(p.row) - 'job_id'
  FROM (
    SELECT n.seq, n AS row, sum(octet_length(n.payload::text)) OVER (ORDER BY n.seq) AS bytes,
      row_number() OVER (ORDER BY n.seq) AS number
    FROM (
      SELECT e.* FROM tallymark.job_event AS e
      WHERE e.job_id = ledger_page.job_id AND e.seq > coalesce(ledger_page.after_seq, 0)
      ORDER BY e.seq LIMIT least(greatest(coalesce(ledger_page.max_events, 1000), 0), 10000)
    ) AS n
  ) AS p
  WHERE p.number = 1 OR coalesce(p.bytes, 0) <= c_most_bytes
  ORDER BY p.seq;
END
$$;

COMMENT ON FUNCTION tallymark.ledger_page(text, bigint, integer) IS
'Reads the ledger of a job as it is stored, with the updates themselves, a page at a time.
Arguments: job_id: a registered job; after_seq: the number of the last event already seen, 0 or null to begin with the
first; max_events: how many events at most, 0 to 10000, null for 1000, and about 16 MB of updates.
Returns: rows of seq and event, the row of tallymark.job_event by the names of its columns, without job_id.
Errors: TK404 where there is no such job; TK400 where job_id is null, empty or too long.
Callers: tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.ledger_page(text, bigint, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.ledger_page(text, bigint, integer) TO tallymark_admin;
