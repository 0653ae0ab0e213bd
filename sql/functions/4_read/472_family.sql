-- Adds up what is part of a job.

CREATE OR REPLACE FUNCTION tallymark.family(
  job_id text, max_jobs integer DEFAULT 100, cursor text DEFAULT NULL, id_prefix text DEFAULT NULL
) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_most_rates CONSTANT integer := 50; -- each is a query of its own
  v_now CONSTANT timestamptz := statement_timestamp();
  c_most_bytes CONSTANT integer := tallymark.page_byte_limit();
  v_after CONSTANT text := tallymark.cursor_id(family.cursor);
  v_most CONSTANT integer := least(greatest(coalesce(family.max_jobs, 100), 0), 1000);
  v_sums record;
  v_statuses jsonb;
  v_progress jsonb;
  v_id text;
  v_rate jsonb;
  v_slowest jsonb;
  v_without bigint := 0;
  v_job tallymark.job;
  v_row jsonb;
  v_rows jsonb[] := '{}';
  v_bytes bigint := 0;
  v_last text;
  v_next text;
BEGIN
  -- A stable function reads in one snapshot, so all of this is of one moment. There is no other counter of a family.
  SELECT count(*) AS children, coalesce(sum(c.done), 0) AS done, sum(c.total) AS total,
    count(*) FILTER (WHERE c.total IS NULL) AS without_total,
    count(*) FILTER (WHERE c.finished_at IS NULL) AS at_work, count(*) FILTER (WHERE c.has_rate) AS with_rate,
    min(c.started_at) AS started_at, max(c.updated_at) AS updated_at, max(c.finished_at) AS finished_at
  INTO v_sums
  FROM (
    SELECT j.started_at, j.updated_at, j.finished_at, j.status = 'running' AND j.progress ? 'totalItems' AS has_rate,
      tallymark.processed_items(j.progress) AS done,
      -- Of a job that finished and never gave a total, all is done.
      coalesce((j.progress -> 'totalItems')::numeric,
        CASE j.status WHEN 'finished' THEN tallymark.processed_items(j.progress) END) AS total
    FROM tallymark.job AS j
    WHERE j.parent = family.job_id AND (family.id_prefix IS NULL OR starts_with(j.id, family.id_prefix))
  ) AS c;
  IF v_sums.children = 0 THEN
    PERFORM 1 FROM tallymark.job AS j WHERE j.id = family.job_id;
    IF NOT FOUND THEN
      PERFORM tallymark.refuse_unknown_job(family.job_id);
    END IF;
  END IF;
  SELECT coalesce(jsonb_object_agg(s.status, s.jobs), '{}') INTO v_statuses
  FROM (
    SELECT j.status, count(*) AS jobs FROM tallymark.job AS j
    WHERE j.parent = family.job_id AND (family.id_prefix IS NULL OR starts_with(j.id, family.id_prefix))
    GROUP BY j.status
  ) AS s;
  SELECT jsonb_build_object('processedItems', v_sums.done,
    'itemsByType', coalesce(jsonb_object_agg(t.type, trim_scale(t.items)), '{}'))
    || CASE WHEN v_sums.without_total = 0 AND v_sums.children > 0
      THEN jsonb_build_object('totalItems', trim_scale(v_sums.total)) ELSE '{}' END
  INTO v_progress
  FROM (
    SELECT i.key AS type, sum(i.value::numeric) AS items
    FROM tallymark.job AS j, jsonb_each(j.progress -> 'itemsByType') AS i
    WHERE j.parent = family.job_id AND (family.id_prefix IS NULL OR starts_with(j.id, family.id_prefix))
    GROUP BY i.key
  ) AS t;

  FOR v_id IN
    SELECT j.id FROM tallymark.job AS j
    WHERE j.parent = family.job_id AND (family.id_prefix IS NULL OR starts_with(j.id, family.id_prefix))
      AND j.status = 'running' AND j.progress ? 'totalItems'
    -- By what they have done since their starts, for which their rows suffice.
    ORDER BY ((j.progress -> 'totalItems')::numeric - tallymark.processed_items(j.progress))
      * extract(epoch FROM v_now - j.started_at) / nullif(tallymark.processed_items(j.progress), 0) DESC NULLS LAST, j.id
    LIMIT c_most_rates
  LOOP
    v_rate := tallymark.job_rate(v_id);
    IF v_rate -> 'etaSeconds' = 'null' THEN
      v_without := v_without + 1;
    ELSE
      IF v_slowest IS NULL OR (v_rate -> 'etaSeconds')::numeric > (v_slowest -> 'etaSeconds')::numeric THEN
        v_slowest := v_rate;
      END IF;
    END IF;
  END LOOP;

  FOR v_job IN
    SELECT j.* FROM tallymark.job AS j
    WHERE j.parent = family.job_id AND (family.id_prefix IS NULL OR starts_with(j.id, family.id_prefix))
      AND j.id > v_after
    ORDER BY j.id
    LIMIT CASE WHEN v_most > 0 THEN v_most + 1 ELSE 0 END
  LOOP
    v_row := tallymark.job_row(v_job);
    v_bytes := v_bytes + octet_length(v_row::text);
    IF cardinality(v_rows) = v_most OR (v_bytes > c_most_bytes AND v_last IS NOT NULL) THEN
      v_next := encode(convert_to(v_last, 'UTF8'), 'hex');
      EXIT;
    END IF;
    v_rows := v_rows || v_row;
    v_last := v_job.id;
  END LOOP;
  RETURN jsonb_build_object('id', family.job_id, 'children', v_sums.children, 'statuses', v_statuses,
    'processedItems', v_sums.done, 'totalItems', v_progress -> 'totalItems', 'itemsByType', v_progress -> 'itemsByType',
    'percentage', tallymark.progress_percentage(v_progress), 'summary', tallymark.progress_summary(v_progress),
    'slowest', v_slowest ->> 'id', 'etaSeconds', v_slowest -> 'etaSeconds', 'eta', v_slowest -> 'eta',
    'withoutEta', v_sums.at_work - v_sums.with_rate + v_without,
    'startedAt', tallymark.iso_timestamp(v_sums.started_at), 'updatedAt', tallymark.iso_timestamp(v_sums.updated_at),
    'finishedAt', CASE v_sums.at_work WHEN 0 THEN tallymark.iso_timestamp(v_sums.finished_at) END,
    'jobs', to_jsonb(v_rows), 'next', v_next);
END
$$;

COMMENT ON FUNCTION tallymark.family(text, integer, text, text) IS
'Adds up the jobs that are part of a job, as they are at this moment. There is no second count that could differ from
theirs. What is part of these in turn is not in the sums.
Arguments: job_id: the job that they are part of, which need not be registered; max_jobs: how many of them to list, 0 to
1000, null for 100, and at most 16 MB of JSON; cursor: the "next" of the page before; id_prefix: only jobs whose ids begin
with this, null for all.
Returns: {"id", "children": how many there are, "statuses": {status: how many have it}, "processedItems",
"itemsByType": sums, "totalItems": their sum, null where the total of a job is not known (that of a job that finished
without one is what it processed), "percentage", "summary": of the sums, "slowest": of the running jobs the one that will be
done last, as job_rate has it, "etaSeconds", "eta": when that will be, "withoutEta": how many jobs have not ended and
have no such time, "startedAt": the earliest, "updatedAt": the last, "finishedAt": the last, null while a job has not
ended, "jobs": [as newest_jobs gives them, in the order of their ids], "next": the cursor of the next page, null where
there is none}.
Errors: TK404 where no job is part of job_id, and there is no such job; TK400 where job_id is null, empty or too long,
or where the cursor is not valid.
Callers: tallymark_reader, tallymark_admin.
Cost: reads all jobs of the family (job_parent_idx), and a rate for each running one with a total; of more than 50 of
these only for those that are the slowest since their starts. Where the tables are distributed, the sums and the list may be of moments
that follow each other.';

REVOKE ALL ON FUNCTION tallymark.family(text, integer, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.family(text, integer, text, text) TO tallymark_reader, tallymark_admin;
