-- Keeps the names in a job's state within their limit, because every update writes the state again. The ledger has all
-- names.
--
-- Which names stay must depend on the set of the updates only, and not on their order. So the shortest stay, and of those
-- with the same length the first by their bytes: a name that once went can never come back, because more names only
-- come before it. Real types have short names; ids and addresses have long ones.

CREATE OR REPLACE FUNCTION tallymark.within_limits(job tallymark.job) RETURNS tallymark.job
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_most CONSTANT integer := tallymark.most_names();
  c_counted CONSTANT text[] := '{itemsByType,foundByType,failedByType,skippedByType}';
  v_over text[];
  v_member text;
  v_counts jsonb;
  v_rest numeric;
BEGIN
  -- All counts keep the same types, so that the books of a type have all of it or nothing. In the order that the names have
  -- in jsonb. No type can be called '': the sum of the types that went stands there.
  v_over := ARRAY(
    SELECT t.name
    FROM unnest(c_counted || '{totalsByType}'::text[]) AS m (member), jsonb_object_keys(job.progress -> m.member) AS t (name)
    WHERE t.name <> ''
    GROUP BY t.name ORDER BY octet_length(t.name), t.name COLLATE "C" OFFSET c_most);
  IF v_over <> '{}' THEN
    FOREACH v_member IN ARRAY c_counted LOOP
      v_counts := job.progress -> v_member;
      CONTINUE WHEN (v_counts ?| v_over) IS NOT TRUE;
      -- Only increments go there. To add up running totals of names that went, each would have to be remembered.
      SELECT sum((v_counts -> o.name)::numeric - coalesce((
        SELECT sum((w.value -> v_member -> o.name)::numeric) FROM jsonb_each(job.workers) AS w), 0))
      INTO v_rest FROM unnest(v_over) AS o (name);
      job.progress := job.progress || jsonb_build_object(v_member, (v_counts - v_over)
        || jsonb_build_object('', trim_scale(coalesce((v_counts -> '')::numeric, 0) + v_rest)));
    END LOOP;
    job.workers := (
      SELECT jsonb_object_agg(w.key, w.value || (
        SELECT coalesce(jsonb_object_agg(m.member, (w.value -> m.member) - v_over), '{}')
        FROM unnest(c_counted) AS m (member) WHERE w.value ? m.member))
      FROM jsonb_each(job.workers) AS w);
    IF job.progress ? 'totalsByType' THEN
      job.progress := jsonb_set(job.progress, '{totalsByType}', (job.progress -> 'totalsByType') - v_over);
      job.clocks := jsonb_set(job.clocks, '{totalsByType}', (job.clocks -> 'totalsByType') - v_over);
    END IF;
  END IF;

  v_over := ARRAY(
    SELECT f.name FROM jsonb_object_keys(job.progress) WITH ORDINALITY AS f (name, place)
    WHERE tallymark.member_rule(f.name) IS NULL AND f.name NOT IN ('errorTimestamp', 'lastAreasDiscovery')
    ORDER BY f.place OFFSET c_most);
  IF v_over <> '{}' THEN
    job.progress := job.progress - v_over;
    job.clocks := job.clocks - v_over;
    job.newest_fields := ARRAY(
      SELECT n.name FROM unnest(job.newest_fields) WITH ORDINALITY AS n (name, place)
      WHERE n.name <> ALL (v_over) ORDER BY n.place);
  END IF;
  RETURN job;
END
$$;

COMMENT ON FUNCTION tallymark.within_limits(tallymark.job) IS
'Keeps the names in a job''s state within most_names: the types of items, and the fields that the wire protocol does not
know. The shortest names stay, of the same length the first by their bytes, so that the state does not depend on the
order of the updates. What further types counted as increments is summed under the name ''''; their running totals and
their totals, and the further fields, are only in the ledger.
Arguments: job: the state.
Returns: the state with fewer names, or as it was.';

REVOKE ALL ON FUNCTION tallymark.within_limits(tallymark.job) FROM PUBLIC;
