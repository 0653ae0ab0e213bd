-- Lists jobs by what they are searched by, a page at a time.

CREATE OR REPLACE FUNCTION tallymark.list_jobs(
  status text DEFAULT NULL, stage text DEFAULT NULL, operation_type text DEFAULT NULL,
  current_data_type text DEFAULT NULL, item_type text DEFAULT NULL, updated_since timestamptz DEFAULT NULL,
  q text DEFAULT NULL, id_prefix text DEFAULT NULL, max_jobs integer DEFAULT 100, cursor text DEFAULT NULL,
  attributes jsonb DEFAULT NULL, series text DEFAULT NULL, parent text DEFAULT NULL
) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- Planned again for the filters of each call: a plan for any filters could use no index. Filters that are null are
-- constants then, and drop out of the condition.
SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
  c_most_bytes CONSTANT integer := tallymark.page_byte_limit();
  v_after CONSTANT text := tallymark.cursor_id(list_jobs.cursor);
  v_most CONSTANT integer := least(greatest(coalesce(list_jobs.max_jobs, 100), 0), 1000);
  v_facets CONSTANT jsonb := nullif(tallymark.without_nulls(jsonb_build_object('stage', list_jobs.stage,
    'operationType', list_jobs.operation_type, 'currentDataType', list_jobs.current_data_type,
    'itemTypes', '[]'::jsonb || to_jsonb(list_jobs.item_type))), '{}');
  v_attributes CONSTANT jsonb[] := tallymark.attribute_matches(list_jobs.attributes);
  v_job tallymark.job;
  v_document jsonb;
  v_jobs jsonb[] := '{}';
  v_bytes bigint := 0;
  v_last text;
BEGIN
  FOR v_job IN
    SELECT j.* FROM tallymark.job AS j
    WHERE j.id > v_after
      AND (list_jobs.id_prefix IS NULL OR starts_with(j.id, list_jobs.id_prefix))
      AND (list_jobs.status IS NULL OR j.status = list_jobs.status)
      AND (v_facets IS NULL OR j.facets @> v_facets)
      AND (v_attributes IS NULL OR (j.attributes <> '{}' AND j.attributes @> ANY (v_attributes)))
      AND (list_jobs.series IS NULL OR j.series = list_jobs.series)
      AND (list_jobs.parent IS NULL OR j.parent = list_jobs.parent)
      AND (list_jobs.updated_since IS NULL OR j.updated_at >= list_jobs.updated_since)
      AND (list_jobs.q IS NULL OR strpos(j.id, list_jobs.q) > 0)
    ORDER BY j.id
    LIMIT CASE WHEN v_most > 0 THEN v_most + 1 ELSE 0 END
  LOOP
    v_document := tallymark.job_document(v_job);
    v_bytes := v_bytes + octet_length(v_document::text);
    -- One JSON document must not grow larger; the next page has the rest.
    IF cardinality(v_jobs) = v_most OR (v_bytes > c_most_bytes AND v_last IS NOT NULL) THEN
      RETURN jsonb_build_object('jobs', to_jsonb(v_jobs), 'next', encode(convert_to(v_last, 'UTF8'), 'hex'));
    END IF;
    v_jobs := v_jobs || v_document;
    v_last := v_job.id;
  END LOOP;
  RETURN jsonb_build_object('jobs', to_jsonb(v_jobs), 'next', NULL);
END
$$;

COMMENT ON FUNCTION tallymark.list_jobs(
  text, text, text, text, text, timestamptz, text, text, integer, text, jsonb, text, text) IS
'Lists jobs in the order of their ids (by their bytes), a page at a time. Ids never change, so a caller that follows
"next" to the end gets each job that is there all the time exactly once, whatever is reported or registered meanwhile.
Filters that are null do not restrict the list.
Arguments: status: the status of the job, such as running; stage, operation_type, current_data_type: the current value
of that field; item_type: a type that the job has counted; updated_since: only jobs for which an update was recorded
at or after this instant, by the server''s clock; q: a part of the id, case-sensitive; id_prefix: the beginning of the
id; max_jobs: how many jobs at most, 0 to 1000, null for 100, and at most 16 MB of JSON; cursor: the "next" of the
page before; attributes: an object of at most 8 attributes that the jobs were registered with, of which a text also
matches a number or a boolean that is written so; series: the series that the jobs are runs of; parent: the job that
they are part of.
Returns: {"jobs": [jobs as get_job gives them, without timeline], "next": the cursor of the next page, null where
there is none}.
Errors: TK400 where the cursor or the attributes are not valid.
Callers: tallymark_reader, tallymark_admin.
Cost: reads the jobs of the page, also with id_prefix, and with status, which has an index in the order of the ids.
Facets, attributes, series and parent have indexes, too: a rare value is found by them and sorted, a common one by
reading jobs in order. With updated_since and q jobs are read one by one from the cursor until the page is full, because
what each merge changes has no index.';

REVOKE ALL ON FUNCTION tallymark.list_jobs(
  text, text, text, text, text, timestamptz, text, text, integer, text, jsonb, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.list_jobs(
  text, text, text, text, text, timestamptz, text, text, integer, text, jsonb, text, text)
  TO tallymark_reader, tallymark_admin;
