-- Lists jobs for an overview: the newest first, a page at a time.

CREATE OR REPLACE FUNCTION tallymark.newest_jobs(
  status text DEFAULT NULL, stage text DEFAULT NULL, operation_type text DEFAULT NULL,
  current_data_type text DEFAULT NULL, item_type text DEFAULT NULL, q text DEFAULT NULL,
  id_prefix text DEFAULT NULL, max_jobs integer DEFAULT 50, cursor text DEFAULT NULL,
  attributes jsonb DEFAULT NULL, series text DEFAULT NULL, parent text DEFAULT NULL
) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- Planned again for the filters of each call, see list_jobs.
SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
  c_most_bytes CONSTANT integer := tallymark.page_byte_limit();
  v_place CONSTANT text := tallymark.cursor_id(newest_jobs.cursor);
  v_most CONSTANT integer := least(greatest(coalesce(newest_jobs.max_jobs, 50), 0), 1000);
  v_facets CONSTANT jsonb := nullif(tallymark.without_nulls(jsonb_build_object('stage', newest_jobs.stage,
    'operationType', newest_jobs.operation_type, 'currentDataType', newest_jobs.current_data_type,
    'itemTypes', '[]'::jsonb || to_jsonb(newest_jobs.item_type))), '{}');
  v_attributes CONSTANT jsonb[] := tallymark.attribute_matches(newest_jobs.attributes);
  v_at timestamptz := 'infinity';
  v_id text := '';
  v_job tallymark.job;
  v_row jsonb;
  v_jobs jsonb[] := '{}';
  v_bytes bigint := 0;
  v_next text;
BEGIN
  IF newest_jobs.cursor IS NOT NULL THEN
    IF v_place !~ '^[0-9]{1,16} ' THEN
      PERFORM tallymark.refuse_query('cursor', 'must be the next of an earlier page');
    END IF;
    v_at := 'epoch'::timestamptz + split_part(v_place, ' ', 1)::bigint * interval '1 microsecond';
    v_id := substr(v_place, strpos(v_place, ' ') + 1);
  END IF;
  FOR v_job IN
    SELECT j.* FROM tallymark.job AS j
    WHERE (j.created_at, j.id) < (v_at, v_id)
      AND (newest_jobs.status IS NULL OR j.status = newest_jobs.status)
      AND (newest_jobs.id_prefix IS NULL OR starts_with(j.id, newest_jobs.id_prefix))
      AND (v_facets IS NULL OR j.facets @> v_facets)
      AND (v_attributes IS NULL OR (j.attributes <> '{}' AND j.attributes @> ANY (v_attributes)))
      AND (newest_jobs.series IS NULL OR j.series = newest_jobs.series)
      AND (newest_jobs.parent IS NULL OR j.parent = newest_jobs.parent)
      AND (newest_jobs.q IS NULL OR strpos(j.id, newest_jobs.q) > 0)
    ORDER BY j.created_at DESC, j.id DESC
    LIMIT CASE WHEN v_most > 0 THEN v_most + 1 ELSE 0 END
  LOOP
    v_row := tallymark.job_row(v_job);
    v_bytes := v_bytes + octet_length(v_row::text);
    -- One JSON document must not grow larger; the next page has the rest.
    IF cardinality(v_jobs) = v_most OR (v_bytes > c_most_bytes AND v_next IS NOT NULL) THEN
      RETURN jsonb_build_object('jobs', to_jsonb(v_jobs), 'next', encode(convert_to(v_next, 'UTF8'), 'hex'));
    END IF;
    v_jobs := v_jobs || v_row;
    v_next := (extract(epoch FROM v_job.created_at) * 1000000)::bigint || ' ' || v_job.id;
  END LOOP;
  RETURN jsonb_build_object('jobs', to_jsonb(v_jobs), 'next', NULL);
END
$$;

COMMENT ON FUNCTION tallymark.newest_jobs(
  text, text, text, text, text, text, text, integer, text, jsonb, text, text) IS
'Lists jobs for an overview, the last registered first, a page at a time. The time of registration never changes, so a
caller that follows "next" to the end gets each job that is there all the time exactly once. Filters that are null do
not restrict the list.
Arguments: status, stage, operation_type, current_data_type, item_type, q, id_prefix, attributes, series, parent: as
those of list_jobs; max_jobs: how many jobs at most, 0 to 1000, null for 50, and at most 16 MB of JSON; cursor: the
"next" of the page before.
Returns: {"jobs": [{"id", "status", "percentage", "summary", "shortfall": {"type": how many are left} or null, "stage",
"operationType", "processedItems", "totalItems",
"itemTypes": how many, "credentialStatus", "command", "error": {"type", "message", 200 characters each} or null,
"lastSeq", "startedAt", "finishedAt", "updatedAt", "createdAt"}], "next": the cursor of the next page, null where
there is none}.
Errors: TK400 where the cursor or the attributes are not valid.
Callers: tallymark_reader, tallymark_admin.
Cost: reads the jobs of the page, also with status (job_created_idx, job_status_created_idx), and with
series (job_series_idx). With id_prefix, a facet, attributes or parent the planner chooses: jobs in order until the page
is full, or all jobs that match; with q it reads jobs one by one from the cursor until the page is full.';

REVOKE ALL ON FUNCTION tallymark.newest_jobs(
  text, text, text, text, text, text, text, integer, text, jsonb, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.newest_jobs(
  text, text, text, text, text, text, text, integer, text, jsonb, text, text)
  TO tallymark_reader, tallymark_admin;
