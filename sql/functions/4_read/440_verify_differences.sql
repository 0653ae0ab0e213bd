-- Finds where the stored state of a job differs from its ledger.

CREATE OR REPLACE FUNCTION tallymark.verify_differences(job_id text)
RETURNS TABLE (seq bigint, field text, stored jsonb, folded jsonb)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_stored tallymark.job;
  v_folded tallymark.job;
  v_paths text[];
  v_areas jsonb[];
  v_seqs bigint[] := '{}'::bigint[];
  v_fields text[] := '{}'::text[];
  v_here jsonb[] := '{}'::jsonb[];
  v_there jsonb[] := '{}'::jsonb[];
BEGIN
  -- A stable function reads everything in one snapshot: no update comes between the state and the ledger, and no
  -- crawler waits.
  SELECT j.* INTO v_stored FROM tallymark.job AS j WHERE j.id = verify_differences.job_id;
  IF NOT FOUND THEN
    PERFORM tallymark.refuse_unknown_job(verify_differences.job_id);
  END IF;

  -- 1. The ledger by itself: numbers without gaps, an unchanged baseline, and updates that still have the updateId in
  -- their key.
  RETURN QUERY
  SELECT n.number, 'seq'::text, to_jsonb(n.seq), to_jsonb(n.number)
  FROM (SELECT e.seq, v_stored.pruned_seq + row_number() OVER (ORDER BY e.seq) AS number
    FROM tallymark.job_event AS e WHERE e.job_id = verify_differences.job_id) AS n
  WHERE n.seq <> n.number ORDER BY n.number LIMIT 1;
  RETURN QUERY SELECT * FROM tallymark.baseline_differences(v_stored.id);
  RETURN QUERY
  SELECT e.seq, 'updateId'::text, e.payload -> 'updateId', to_jsonb(substr(e.update_key, 2))
  FROM tallymark.job_event AS e
  WHERE e.job_id = verify_differences.job_id AND e.update_key LIKE '=%'
    AND e.payload ->> 'updateId' IS DISTINCT FROM substr(e.update_key, 2)
  ORDER BY e.seq LIMIT 1;
  BEGIN
    v_folded := tallymark.fold_ledger(verify_differences.job_id);
  EXCEPTION WHEN data_exception THEN -- the ledger holds an update that no crawler can have sent
    RETURN QUERY
    SELECT e.seq, 'payload'::text, e.payload, NULL::jsonb
    FROM tallymark.job_event AS e
    WHERE e.job_id = verify_differences.job_id
      AND (jsonb_typeof(e.payload) <> 'object' OR tallymark.is_valid_update(
        e.job_id, CASE WHEN e.payload @> '{"doneBeyond": null}' THEN e.payload - 'doneBeyond' ELSE e.payload END) IS FALSE)
    ORDER BY e.seq LIMIT 1;
    IF NOT FOUND THEN -- no such update was found, but something is wrong
      RETURN QUERY SELECT v_stored.last_seq, 'ledger'::text, NULL::jsonb, to_jsonb(SQLERRM);
    END IF;
    RETURN;
  END;

  RETURN QUERY SELECT * FROM tallymark.item_differences(v_stored.id);

  -- 2. The state, field by field, each with the newest event that gave the field.
  SELECT array_agg(a.full_path), array_agg(to_jsonb(a) - '{job_id,full_path,type,parent_path}'::text[])
  INTO v_paths, v_areas FROM tallymark.job_area AS a WHERE a.job_id = verify_differences.job_id;
  FOR verify_differences.field, verify_differences.stored, verify_differences.folded IN
    SELECT d.name, d.stored, d.folded
    FROM (
      SELECT coalesce(s.key, f.key) AS name, s.value AS stored, f.value AS folded
      FROM jsonb_each(CASE jsonb_typeof(v_stored.progress) WHEN 'object' THEN v_stored.progress ELSE '{}' END) AS s
      FULL JOIN jsonb_each(v_folded.progress) AS f ON f.key = s.key
      UNION ALL
      SELECT c.name, to_jsonb(v_stored) -> c.name, to_jsonb(v_folded) -> c.name
      FROM unnest(tallymark.state_columns() || ARRAY['last_seq', 'pruned_seq']) AS c (name)
      WHERE c.name <> 'progress' -- it is compared above, member by member
      UNION ALL
      SELECT 'areas: ' || coalesce(a.path, f.full_path), a.area, to_jsonb(f) - 'full_path'
      FROM unnest(v_paths, v_areas) AS a (path, area)
      FULL JOIN tallymark.fold_areas(verify_differences.job_id) AS f ON f.full_path = a.path
    ) AS d
    WHERE d.stored IS DISTINCT FROM d.folded
  LOOP
    SELECT coalesce(max(n.seq), v_stored.last_seq) INTO verify_differences.seq
    FROM (
      SELECT e.seq FROM tallymark.job_event AS e
      WHERE e.job_id = verify_differences.job_id AND e.payload ? split_part(verify_differences.field, ':', 1)
      ORDER BY e.occurred_at DESC, e.update_key DESC LIMIT 1
    ) AS n;
    v_seqs := v_seqs || verify_differences.seq;
    v_fields := v_fields || verify_differences.field;
    v_here := v_here || verify_differences.stored;
    v_there := v_there || verify_differences.folded;
  END LOOP;
  RETURN QUERY
  SELECT d.seq, d.field, d.stored, d.folded FROM unnest(v_seqs, v_fields, v_here, v_there) AS d (seq, field, stored, folded)
  ORDER BY 1, 2;
END
$$;

COMMENT ON FUNCTION tallymark.verify_differences(text) IS
'Folds the ledger of a job again and finds where the stored state differs from the result.
Arguments: job_id: a registered job.
Returns: a row for each difference, none where all is well: seq (the event at which it shows: the first number that is
wrong, or the newest event that gave the field), field, stored (what the database holds), folded (what the ledger adds up
to). field is a member of progress, or a column of tallymark.job; "areas: " and a path; "itemKeys: " with the type and the
digest of a key, whose values are the number of the first event that had the key; counted, how many of its keys an event
says were new; or what is wrong with the ledger itself, such as seq, updateId, payload or baseline.
Errors: TK404 where there is no such job; TK400 where job_id is null, empty or too long.
Callers: tallymark_reader, tallymark_admin.
Locks: none.
Cost: reads the job''s ledger and merges each update of it again.';

REVOKE ALL ON FUNCTION tallymark.verify_differences(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.verify_differences(text) TO tallymark_reader, tallymark_admin;
