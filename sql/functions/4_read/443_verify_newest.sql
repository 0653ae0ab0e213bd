-- Verifies the newest jobs.

CREATE OR REPLACE FUNCTION tallymark.verify_newest(
  max_jobs integer DEFAULT 20, most_events integer DEFAULT 10000, id_prefix text DEFAULT NULL
) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
  v_id text;
  v_events bigint;
  v_left bigint := greatest(coalesce(verify_newest.most_events, 10000), 0);
  v_checked bigint := 0;
  v_differing text[] := '{}';
  v_skipped bigint := 0;
BEGIN
  FOR v_id, v_events IN
    SELECT j.id, j.last_seq - j.pruned_seq FROM tallymark.job AS j
    WHERE verify_newest.id_prefix IS NULL OR starts_with(j.id, verify_newest.id_prefix)
    ORDER BY j.created_at DESC, j.id DESC
    LIMIT least(greatest(coalesce(verify_newest.max_jobs, 20), 0), 1000)
  LOOP
    IF v_events > v_left THEN
      v_skipped := v_skipped + 1;
      CONTINUE;
    END IF;
    v_left := v_left - v_events;
    v_checked := v_checked + 1;
    IF NOT tallymark.verify_job(v_id) THEN
      v_differing := v_differing || v_id;
    END IF;
  END LOOP;
  RETURN jsonb_build_object('checked', v_checked, 'exact', v_checked - cardinality(v_differing),
    'differing', to_jsonb(v_differing), 'skipped', v_skipped);
END
$$;

COMMENT ON FUNCTION tallymark.verify_newest(integer, integer, text) IS
'Verifies the jobs that were registered last: compares each with the fold of its ledger.
Arguments: max_jobs: how many jobs, 0 to 1000, null for 20; most_events: how many events are read in all, null for
10000 (a job with more events than are left of these is skipped, and a smaller one after it may still be verified);
id_prefix: only jobs whose ids begin with this, null for all.
Returns: {"checked": how many jobs, "exact": how many of these equal their ledgers, "differing": [the ids of the
others], "skipped": how many were not checked}.
Callers: tallymark_reader, tallymark_admin.
Locks: none.
Cost: reads at most most_events events and merges each again.';

REVOKE ALL ON FUNCTION tallymark.verify_newest(integer, integer, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.verify_newest(integer, integer, text) TO tallymark_reader, tallymark_admin;
