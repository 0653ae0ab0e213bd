-- For random sets of updates, in batches of several sizes, jobs, ledgers, areas and answers are the same as when each
-- update comes alone, and every ledger folds to its state.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(14);

-- One random update: plain progress, with everything else now and then, more often with a higher argument rare. Some
-- are late, some are ties, some are duplicates, some are not valid.
CREATE FUNCTION pg_temp.drawn(number integer, jobs integer, rare float, now_too boolean) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
  v_update jsonb := jsonb_build_object('taskId', (ARRAY['job', 'job', 'Ä/%_', 'counted'])[ceil(random() * jobs)],
    'status', 'processing', 'timestamp', tallymark.iso_timestamp('2025-01-06T10:00:00Z'::timestamptz
      + (number - CASE WHEN random() < 0.2 THEN floor(random() * 9) ELSE 0 END) * interval '1s'));
  v_more jsonb;
BEGIN
  IF random() < 0.95 THEN
    v_update := v_update || jsonb_build_object('processedItems', floor(random() * 100));
  END IF;
  IF random() < 0.95 THEN
    v_update := v_update || jsonb_build_object('itemsByType', jsonb_build_object('issues', floor(random() * 9))
      || CASE WHEN random() < rare THEN '{"groups": 2, "a b": 3.0}'::jsonb ELSE '{}' END);
  END IF;
  FOREACH v_more IN ARRAY ARRAY[
    jsonb_build_object('message', number::text), jsonb_build_object('lastProcessedId', number::text),
    jsonb_build_object('progress', number), jsonb_build_object('updateId', 'u' || floor(random() * 60)),
    jsonb_build_object('updateId', 'u' || floor(random() * 60)), jsonb_build_object('currentDataType', 't' || number %
      2),
    jsonb_build_object('workerId', 'w' || number % 2), jsonb_build_object('error', 'e' || number % 2),
    jsonb_build_object('totalItems', 100 + number % 3), jsonb_build_object('message', repeat('é', 1001)),
    jsonb_build_object('areas', jsonb_build_array(
      jsonb_build_object('fullPath', 'g/' || number % 4, 'name', number::text,
        'type', (ARRAY['group', 'PROJECT', 'x'])[ceil(random() * 3)]))),
    jsonb_build_object('status', (ARRAY['started', 'COMPLETED', 'failed', 'paused', 'cancelled', 'credential_expiry',
      'credential_renewal', 'credential_resumed', 'Processing'])[ceil(random() * 9)]),
    '{"counting": "cumulative"}', '{"operationType": "discovery"}', '{"groupCount": 7, "processed": 3, "total": 8}',
    '{"message": null, "workerId": null, "own": [1]}', '{"areas": [], "status": "new_areas_discovered"}',
    '{"timeline": [{"event": "command_requested", "timestamp": "2025-01-06", "details": {"command": "cancel"}},
      {"event": "b", "timestamp": "2025-01-06"}]}',
    '{"taskId": "unknown"}', '{"processedItems": -1, "status": "?"}', '{"x": 1e131071}', '{"taskId": 7}']::jsonb[]
  LOOP
    IF random() < rare THEN
      v_update := v_update || v_more;
    END IF;
  END LOOP;
  IF now_too AND random() < 0.1 THEN
    v_update := v_update - 'timestamp';
  ELSIF now_too AND random() < 0.1 THEN
    v_update := v_update || '{"timestamp": "2099-01-01T00:00:00Z"}';
  END IF;
  RETURN v_update;
END
$$;
-- The result of updates in batches of a size (null: each alone): jobs, ledgers, areas, and the answers without what
-- shows the state after the batch. A command is given half-way. All of it is rolled back.
CREATE FUNCTION pg_temp.outcome(updates jsonb, size integer, command text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_acks jsonb := '[]';
  v_batch jsonb;
  v_detail text;
  v_all text;
BEGIN
  PERFORM tallymark.create_job('job'), tallymark.create_job('Ä/%_'),
    tallymark.create_job('counted', '{"counting": "cumulative"}');
  FOR n IN 0 .. jsonb_array_length(updates) - 1 BY coalesce(size, 1) LOOP
    IF n = jsonb_array_length(updates) / 2 AND command IS NOT NULL
      AND NOT EXISTS (SELECT FROM tallymark.job AS j WHERE j.id = 'job' AND tallymark.is_terminal(j.status))
    THEN
      PERFORM tallymark.request_command('job', command);
    END IF;
    IF size IS NOT NULL THEN
      v_batch := jsonb_path_query_array(updates, '$[$from to $to]', jsonb_build_object('from', n, 'to', n + size - 1));
      v_acks := v_acks || tallymark.merge_progress_batch(v_batch);
    ELSE
      BEGIN
        v_acks := v_acks || tallymark.merge_progress(updates -> n ->> 'taskId', updates -> n);
      EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS v_detail = PG_EXCEPTION_DETAIL;
        v_acks := v_acks || tallymark.refusal(SQLSTATE, SQLERRM, v_detail);
      END;
    END IF;
  END LOOP;
  v_all := jsonb_build_object(
    'acks', (SELECT jsonb_agg(a.value - '{command,resume,newestTimestamp,worker,finalCounts}'::text[] ORDER BY a.number)
      FROM jsonb_array_elements(v_acks) WITH ORDINALITY AS a (value, number)),
    'jobs', (SELECT jsonb_agg(to_jsonb(j) - '{updated_at,created_at}'::text[] ORDER BY j.id) FROM tallymark.job AS j
      WHERE j.id IN ('job', 'Ä/%_', 'counted')),
    'ledgers', (SELECT jsonb_agg((to_jsonb(e) - 'recorded_at') #- '{details,after}' ORDER BY e.job_id, e.seq)
      FROM tallymark.job_event AS e WHERE e.job_id IN ('job', 'Ä/%_', 'counted')),
    'areas', (SELECT jsonb_agg(to_jsonb(a) ORDER BY a.job_id, a.full_path) FROM tallymark.job_area AS a
      WHERE a.job_id IN ('job', 'Ä/%_', 'counted')),
    'unverified', (SELECT jsonb_agg(j.id) FROM tallymark.job AS j
      WHERE j.id IN ('job', 'Ä/%_', 'counted') AND NOT tallymark.verify_job(j.id)));
  RAISE EXCEPTION USING ERRCODE = 'ZZ000';
EXCEPTION WHEN SQLSTATE 'ZZ000' THEN
  -- Times of now differ between the runs, also as microseconds, and updates without a key have random ones.
  v_all := regexp_replace(v_all, '20(2[6-9]|[3-9].)-[0-9-]+T[0-9:.]+(Z|[+-][0-9:]+)|~[0-9a-f-]{36}', 'now', 'g');
  RETURN regexp_replace(v_all, '(?<="duration": )[0-9]{9,}|\m(173[89]|17[4-9].|1[89]..)[0-9]{12}\M', '"now"', 'g');
END
$$;
CREATE FUNCTION pg_temp.outcomes(seeds integer[], rare float, now_too boolean, updates integer DEFAULT 60)
RETURNS TABLE (seed integer, alone jsonb, size integer, together jsonb) LANGUAGE plpgsql AS $$
DECLARE
  v_updates jsonb;
  v_command text;
BEGIN
  FOREACH seed IN ARRAY seeds LOOP
    PERFORM setseed(seed / 1000.0);
    SELECT jsonb_agg(pg_temp.drawn(g.n, 2 + seed % 2 * 2, rare, now_too)) INTO v_updates
    FROM generate_series(1, updates) AS g (n);
    v_command := (ARRAY['pause', 'cancel', 'resume'])[seed % 4];
    alone := pg_temp.outcome(v_updates, NULL, v_command);
    FOREACH size IN ARRAY ARRAY[1, updates / 10, updates / 2] || CASE WHEN v_command IS NULL THEN updates END LOOP
      CONTINUE WHEN size IS NULL;
      together := pg_temp.outcome(v_updates, size, v_command);
      RETURN NEXT;
    END LOOP;
  END LOOP;
END
$$;

CREATE TEMPORARY TABLE tried AS
SELECT 'plain' AS kind, o.* FROM pg_temp.outcomes(ARRAY[1, 2, 3, 4], 0.01, false) AS o
UNION ALL SELECT 'mixed', o.* FROM pg_temp.outcomes(ARRAY[5, 6, 7, 8, 9, 10, 11, 12], 0.08, false) AS o
UNION ALL SELECT 'timeless', o.* FROM pg_temp.outcomes(ARRAY[13, 14, 15, 16], 0.04, true) AS o;
SELECT is(
  string_agg('seed ' || t.seed || ' in batches of ' || t.size, ', ')
    FILTER (WHERE t.alone -> p.part IS DISTINCT FROM t.together -> p.part),
  NULL, t.kind || ' updates: the ' || p.part || ' are the same')
FROM tried AS t, unnest('{acks,jobs,ledgers,areas}'::text[]) AS p (part)
GROUP BY t.kind, p.part ORDER BY t.kind, p.part;
SELECT is(max((t.alone -> 'unverified')::text || (t.together -> 'unverified')::text), 'nullnull',
  'every ledger folds to its state')
FROM tried AS t;
SELECT cmp_ok(min(jsonb_array_length(t.alone -> 'ledgers')), '>', 30, 'most were accepted, or this would prove nothing')
FROM tried AS t;

SELECT * FROM finish();
ROLLBACK;
