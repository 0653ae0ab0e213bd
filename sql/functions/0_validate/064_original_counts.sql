-- Reads itemsByType of the original, type by type.

CREATE OR REPLACE FUNCTION tallymark.original_counts(counts jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_most_types CONSTANT integer := 10000;
  c_most_named CONSTANT integer := 200; -- enough to see what is wrong
  c_place CONSTANT text := 'progress.itemsByType';
  v_read jsonb;
  v_taken jsonb;
BEGIN
  IF coalesce(jsonb_typeof(original_counts.counts), 'null') = 'null' THEN
    RETURN jsonb_build_object('taken', '{}'::jsonb, 'problems', '[]'::jsonb, 'kept', '{}'::jsonb,
      'mended', CASE WHEN original_counts.counts IS NULL THEN '[]'
        ELSE '[{"field": "progress.itemsByType", "mended": "null counts as not given"}]'::jsonb END);
  ELSIF jsonb_typeof(original_counts.counts) <> 'object' THEN
    RETURN jsonb_build_object('taken', '{}'::jsonb, 'mended', '[]'::jsonb,
      'problems', jsonb_build_array(jsonb_build_object('field', c_place, 'problem', 'must be an object')),
      'kept', jsonb_build_object(c_place, original_counts.counts));
  END IF;
  WITH judged AS (
    SELECT e.key AS type, e.value, left(e.key, 100) AS name, tallymark.original_count(e.value) AS count,
      CASE WHEN row_number() OVER (ORDER BY e.key COLLATE "C") > c_most_types
          THEN format('there are more than %s types', c_most_types)
        WHEN e.key = '' THEN 'the name of a type must have 1 to 100 characters'
        WHEN tallymark.original_count(e.value) IS NULL
          THEN format('%s, not %s', tallymark.member_rule('processedItems'), left(e.value::text, 100)) END AS fault
    FROM jsonb_each(original_counts.counts) AS e WHERE jsonb_typeof(e.value) <> 'null'
  ), named AS (
    SELECT j.*, row_number() OVER (PARTITION BY j.fault IS NULL ORDER BY j.type COLLATE "C") AS number,
      concat_ws('; ', CASE WHEN j.name <> j.type THEN 'the name is too long; it was cut to 100 characters' END,
        CASE WHEN j.count <> j.value THEN format('was %s; taken as %s', left(j.value::text, 100), j.count) END) AS note
    FROM judged AS j
  )
  SELECT jsonb_build_object(
    'problems', coalesce(jsonb_agg(jsonb_build_object('field', c_place || '.' || n.name, 'problem', n.fault)
      ORDER BY n.number) FILTER (WHERE n.fault IS NOT NULL AND n.number <= c_most_named), '[]'),
    'mended', coalesce(jsonb_agg(jsonb_build_object('field', c_place || '.' || n.name, 'mended', n.note)
      ORDER BY n.number) FILTER (WHERE n.fault IS NULL AND n.note <> '' AND n.number <= c_most_named), '[]'),
    'kept', coalesce(jsonb_object_agg(c_place || '.' || n.type, n.value)
      FILTER (WHERE n.fault IS NOT NULL OR n.name <> n.type), '{}'))
  INTO v_read FROM named AS n;
  -- Names that are the same once they are cut are one type.
  SELECT coalesce(jsonb_object_agg(t.name, least(t.count, 9007199254740991)), '{}') INTO v_taken
  FROM (
    SELECT left(e.key, 100) AS name, sum(tallymark.original_count(e.value)::numeric) AS count
    FROM (SELECT a.* FROM jsonb_each(original_counts.counts) AS a WHERE jsonb_typeof(a.value) <> 'null'
      ORDER BY a.key COLLATE "C" LIMIT c_most_types) AS e
    WHERE e.key <> '' AND tallymark.original_count(e.value) IS NOT NULL
    GROUP BY left(e.key, 100)
  ) AS t;
  RETURN v_read || jsonb_build_object('taken', v_taken);
END
$$;

COMMENT ON FUNCTION tallymark.original_counts(jsonb) IS
'Reads the itemsByType of the original.
Arguments: counts: the value of the member, null where there is none.
Returns: {"taken": the counts by type, "problems": [{"field", "problem"}] for values that are not counts, "mended":
[{"field", "mended"}] for those that were changed, "kept": what was not taken as it was, by its place}. A null counts as
not given.';

REVOKE ALL ON FUNCTION tallymark.original_counts(jsonb) FROM PUBLIC;
