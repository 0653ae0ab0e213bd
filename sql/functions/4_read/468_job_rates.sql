-- Tells how fast several jobs proceed.

CREATE OR REPLACE FUNCTION tallymark.job_rates(
  ids text[], recent interval DEFAULT '5 minutes', id_prefix text DEFAULT NULL
) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_most CONSTANT integer := 100;
  v_id text;
  v_rates jsonb := '{}'::jsonb;
BEGIN
  IF cardinality(job_rates.ids) > c_most THEN
    PERFORM tallymark.refuse_query('id', format('must be given at most %s times', c_most));
  ELSIF coalesce(job_rates.recent, '5 minutes') <= '0'::interval THEN
    PERFORM tallymark.refuse_query('window', 'must be greater than 0'); -- also where job_rate is not called
  END IF;
  FOR v_id IN
    SELECT j.id FROM tallymark.job AS j
    WHERE j.id = ANY (job_rates.ids)
      AND (job_rates.id_prefix IS NULL OR starts_with(j.id, job_rates.id_prefix))
  LOOP
    v_rates := v_rates || jsonb_build_object(v_id, tallymark.job_rate(v_id, job_rates.recent));
  END LOOP;
  RETURN jsonb_build_object('rates', v_rates);
END
$$;

COMMENT ON FUNCTION tallymark.job_rates(text[], interval, text) IS
'Tells how fast several jobs proceed.
Arguments: ids: at most 100 jobs; ids without a job are ignored; recent: the length of the window, greater than 0,
null for 5 minutes; id_prefix: only jobs whose ids begin with this, null for all.
Returns: {"rates": {id: what job_rate gives}}.
Errors: TK400 where recent is not greater than 0, or there are too many ids.
Callers: tallymark_reader, tallymark_admin.
Cost: that of job_rate for each job that is running.';

REVOKE ALL ON FUNCTION tallymark.job_rates(text[], interval, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.job_rates(text[], interval, text) TO tallymark_reader, tallymark_admin;
