-- Tells a crawler which items its job has not counted yet, so that it need not fetch the others.

CREATE OR REPLACE FUNCTION tallymark.unseen_items(job_id text, type text, keys text[]) RETURNS text[]
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- As in known_updates: the plan is kept, and may be made while the table is small.
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
DECLARE
  c_most CONSTANT integer := 1000;
  v_problems jsonb := '[]'::jsonb;
BEGIN
  IF (char_length(unseen_items.type) BETWEEN 1 AND 100) IS NOT TRUE THEN
    v_problems := v_problems || '{"field": "type", "problem": "must be a string of 1 to 100 characters"}';
  END IF;
  IF (cardinality(unseen_items.keys) <= c_most) IS NOT TRUE THEN
    v_problems := v_problems
      || jsonb_build_object('field', 'keys', 'problem', format('must be an array of at most %s strings', c_most));
  ELSE
    v_problems := v_problems || (
      SELECT coalesce(jsonb_agg(jsonb_build_object('field', format('keys[%s]', k.number - 1),
        'problem', 'must be a string of 1 to 1024 characters') ORDER BY k.number), '[]')
      FROM unnest(unseen_items.keys) WITH ORDINALITY AS k (key, number)
      WHERE (char_length(k.key) BETWEEN 1 AND 1024) IS NOT TRUE);
  END IF;
  IF v_problems <> '[]' THEN
    RAISE EXCEPTION USING ERRCODE = 'TK400', MESSAGE = 'Invalid keys', DETAIL = v_problems::text,
      HINT = 'Correct the named fields and ask again.';
  END IF;
  IF NOT EXISTS (SELECT 1 FROM tallymark.job AS j WHERE j.id = unseen_items.job_id) THEN
    PERFORM tallymark.refuse_unknown_job(unseen_items.job_id);
  END IF;
  RETURN (
    SELECT coalesce(array_agg(k.key ORDER BY k.number), '{}')
    FROM (
      SELECT g.key, min(g.number) AS number
      FROM unnest(unseen_items.keys) WITH ORDINALITY AS g (key, number) GROUP BY g.key
    ) AS k
    LEFT JOIN LATERAL (
      SELECT i.seq FROM tallymark.job_item AS i
      WHERE i.job_id = unseen_items.job_id AND i.type = unseen_items.type
        AND i.key_digest = tallymark.item_digest(k.key) LIMIT 1) AS i ON true
    WHERE i.seq IS NULL);
END
$$;

COMMENT ON FUNCTION tallymark.unseen_items(text, text, text[]) IS
'Tells which items a job has not counted yet by their keys (itemKeys), so that a crawler need not fetch the others. An
item that another worker reports at this moment may still be among them; it counts once all the same.
Arguments: job_id: a registered job; type: a type of items, 1 to 100 characters; keys: at most 1000, each of 1 to 1024
characters.
Returns: those of the keys that the job has not counted for this type, in the order in which they were given, each once.
Errors: TK400 where an argument is not valid, with all problems in DETAIL as a JSON array of {"field", "problem"}; TK404
where there is no such job.
Callers: tallymark_writer, tallymark_admin.
Locks: none.
Cost: one lookup in an index for each key.
Example: SELECT tallymark.unseen_items(''job_1'', ''pages'', ARRAY[''https://example.org/1'', ''https://example.org/2'']);';

REVOKE ALL ON FUNCTION tallymark.unseen_items(text, text, text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.unseen_items(text, text, text[]) TO tallymark_writer, tallymark_admin;
