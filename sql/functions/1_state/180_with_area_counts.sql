-- Adds areas and keys of items, which have rows of their own, to the counts of a job.

CREATE OR REPLACE FUNCTION tallymark.with_area_counts(job tallymark.job, grown jsonb) RETURNS tallymark.job
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_items jsonb := coalesce(job.progress -> 'itemsByType', '{}');
BEGIN
  -- Both types are set from the first areas on, even to 0: otherwise their presence would depend on the order.
  SELECT v_items || jsonb_object_agg(g.key, coalesce((v_items -> g.key)::numeric, 0) + g.value::numeric) INTO v_items
  FROM jsonb_each(with_area_counts.grown) AS g;
  job.progress := job.progress || jsonb_build_object('itemsByType', v_items);
  IF pg_column_size(job.progress) > 8 * tallymark.most_names() THEN
    job := tallymark.within_limits(job);
  END IF;
  job.facets := tallymark.facets_of(job.progress);
  RETURN job;
END
$$;

COMMENT ON FUNCTION tallymark.with_area_counts(tallymark.job, jsonb) IS
'Adds areas and keys of items, which have rows of their own, to the itemsByType of a job''s state. A merge adds areas that
were newly discovered; a fold also adds keys of items.
Arguments: job: the state; grown: how many more of each type the job has, such as {"groups": n, "projects": n}.
Returns: the state with its new progress and facets.';

REVOKE ALL ON FUNCTION tallymark.with_area_counts(tallymark.job, jsonb) FROM PUBLIC;
