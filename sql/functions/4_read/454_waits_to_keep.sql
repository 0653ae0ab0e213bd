-- Gives what a baseline keeps of the waits of pruned updates.

CREATE OR REPLACE FUNCTION tallymark.waits_to_keep(job_id text, up_to_seq bigint) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET TimeZone = 'UTC' -- the form of times in JSON
AS $$
DECLARE
  c_most_spans CONSTANT integer := 1000; -- older ones are added up, so that a baseline stays small
  v_sums CONSTANT jsonb := (
    SELECT b.state #> '{waits,sums}' FROM tallymark.job_baseline AS b WHERE b.job_id = waits_to_keep.job_id);
BEGIN
  RETURN (
    WITH spans AS MATERIALIZED (
      SELECT s.*, row_number() OVER (ORDER BY s.from_at DESC, s.from_key COLLATE "C" DESC) AS place
      FROM tallymark.wait_spans(waits_to_keep.job_id, waits_to_keep.up_to_seq) AS s
    ), sums AS (
      SELECT o.value ->> 0 AS reason, (o.value ->> 1)::bigint AS waits, (o.value ->> 2)::bigint AS microseconds,
        (o.value ->> 3)::timestamptz AS last_at
      FROM jsonb_array_elements(v_sums) AS o
      UNION ALL
      SELECT s.reason, 1, (extract(epoch FROM s.to_at - s.from_at) * 1000000)::bigint, s.from_at
      FROM spans AS s WHERE s.place > c_most_spans
    )
    SELECT nullif(jsonb_build_object(
      'sums', (SELECT coalesce(jsonb_agg(jsonb_build_array(g.reason, g.waits, g.microseconds, g.last_at)
          ORDER BY g.reason), '[]')
        FROM (
          SELECT m.reason, sum(m.waits) AS waits, sum(m.microseconds) AS microseconds, max(m.last_at) AS last_at
          FROM sums AS m GROUP BY m.reason
        ) AS g),
      'spans', (SELECT coalesce(jsonb_agg(jsonb_build_array(s.reason, s.from_at, s.from_key, s.to_at, s.to_ends,
          s.to_key) ORDER BY s.from_at, s.from_key COLLATE "C"), '[]')
        FROM spans AS s WHERE s.place <= c_most_spans)), '{"sums": [], "spans": []}'));
END
$$;

COMMENT ON FUNCTION tallymark.waits_to_keep(text, bigint) IS
'Gives what the baseline of a job keeps of its waits. The newest 1000 are kept as they were, so that late updates can
still shorten them. Of older ones the sums by reason are kept.
Arguments: job_id: the job; up_to_seq: the number of the last event that goes into the baseline.
Returns: {"sums": [[reason, waits, microseconds, when the last one began]], "spans": [the columns of wait_spans]}; null
where the job has not waited.';

REVOKE ALL ON FUNCTION tallymark.waits_to_keep(text, bigint) FROM PUBLIC;
