-- Reads the other members of the original's progress.

CREATE OR REPLACE FUNCTION tallymark.original_fields(progress jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  -- An update may have 1000 members and 1 MiB; there must be room for what the import adds.
  c_most_members CONSTANT integer := 900;
  c_most_bytes CONSTANT integer := 900000;
  c_counts CONSTANT text[] := '{processedItems,totalItems,processed,total,groupCount,projectCount,groupTotal,'
    'projectTotal}';
  -- Members of an update, or what Tallymark derives itself. They are no fields of a job.
  c_beside CONSTANT text[] := '{taskId,status,timestamp,updateId,workerId,counting,itemKeys,areas,progress,'
    'errorTimestamp,lastAreasDiscovery,foundByType,failedByType,skippedByType,totalsByType}';
  v_read jsonb;
BEGIN
  WITH given AS (
    SELECT m.key, m.value, jsonb_typeof(m.value) AS type, m.value #>> '{}' AS text,
      CASE m.key WHEN 'processed' THEN 'processedItems' WHEN 'total' THEN 'totalItems' ELSE m.key END AS name
    FROM jsonb_each(original_fields.progress - '{itemsByType,timeline}'::text[]) AS m
  ), mended AS (
    SELECT g.*, CASE
        WHEN g.type = 'null' OR g.key = ANY (c_beside) THEN NULL
        WHEN g.name <> g.key AND original_fields.progress ->> g.name IS NOT NULL THEN NULL
        WHEN g.key = ANY (c_counts) THEN tallymark.original_count(g.value)
        WHEN g.key IN ('currentDataType', 'stage') AND g.type NOT IN ('object', 'array')
          THEN to_jsonb(left(g.text, 100))
        WHEN g.key = 'lastProcessedId' AND g.type = 'number' THEN to_jsonb(g.text)
        WHEN g.key = 'operationType' AND g.type = 'string' THEN to_jsonb(lower(btrim(g.text) COLLATE "C"))
        WHEN g.key = 'message' THEN to_jsonb(left(g.text, 1000))
        WHEN g.key = 'error' AND g.type NOT IN ('string', 'object') THEN to_jsonb(tallymark.cut_text(g.text, 8192))
        WHEN g.key = 'error' THEN tallymark.cut_error(g.value)
        ELSE g.value END AS taken
    FROM given AS g
  ), valid AS (
    SELECT m.*, m.taken IS NOT NULL AND tallymark.is_valid_update('', jsonb_build_object(m.name, m.taken)) AS is_valid
    FROM mended AS m
  ), fitting AS (
    -- Of too many, or too large ones, the smallest are taken.
    SELECT v.*, v.is_valid AND row_number() OVER w <= c_most_members
        AND sum(octet_length(v.taken::text) + octet_length(v.name) + 8) OVER w <= c_most_bytes AS fits
    FROM valid AS v
    WINDOW w AS (PARTITION BY v.is_valid ORDER BY octet_length(v.taken::text), v.key COLLATE "C"
      ROWS UNBOUNDED PRECEDING)
  ), judged AS (
    SELECT f.*, CASE
        WHEN f.fits OR f.type = 'null' OR f.key = ANY (c_beside) THEN NULL
        WHEN f.is_valid THEN format('the fields of a job take at most %s members and %s bytes together', c_most_members,
          c_most_bytes)
        WHEN f.name = f.key OR f.taken IS NOT NULL OR original_fields.progress ->> f.name IS NULL
          THEN format('%s, not %s', coalesce(tallymark.member_rule(f.name), 'must be valid'), left(f.value::text, 100))
        END AS fault,
      CASE
        WHEN f.type = 'null' THEN 'null counts as not given'
        WHEN f.key = ANY (c_beside) THEN 'is no field of a job'
        WHEN f.fits THEN nullif(concat_ws('; ',
          CASE WHEN f.name <> f.key THEN format('is the legacy name of %s, and was taken as that', f.name)
            WHEN f.key IN ('groupCount', 'projectCount') THEN 'is a legacy name: a running total of itemsByType.'
              || CASE f.key WHEN 'groupCount' THEN 'groups' ELSE 'projects' END END,
          CASE WHEN f.taken <> f.value
            THEN format('was %s; taken as %s', left(f.value::text, 100), left(f.taken::text, 100)) END), '')
        WHEN f.name <> f.key AND original_fields.progress ->> f.name IS NOT NULL
          THEN format('is the legacy name of %s, which is given, too', f.name) END AS note
    FROM fitting AS f
  )
  SELECT jsonb_build_object(
    'taken', coalesce(jsonb_object_agg(j.name, j.taken) FILTER (WHERE j.fits), '{}'),
    'problems', coalesce(jsonb_agg(jsonb_build_object('field', 'progress.' || left(j.key, 100), 'problem', j.fault)
      ORDER BY j.key COLLATE "C") FILTER (WHERE j.fault IS NOT NULL), '[]'),
    'mended', coalesce(jsonb_agg(jsonb_build_object('field', 'progress.' || left(j.key, 100), 'mended', j.note)
      ORDER BY j.key COLLATE "C") FILTER (WHERE j.note IS NOT NULL), '[]'),
    'kept', coalesce(jsonb_object_agg('progress.' || j.key, j.value)
      FILTER (WHERE j.type <> 'null' AND (NOT j.fits OR j.taken <> j.value)), '{}'))
  INTO v_read FROM judged AS j;
  RETURN v_read;
END
$$;

COMMENT ON FUNCTION tallymark.original_fields(jsonb) IS
'Reads the members of the original''s progress, but for itemsByType and timeline.
Arguments: progress: an object.
Returns: {"taken": an object of valid members of an update, legacy names replaced, "problems", "mended", "kept": as
those of original_counts}. Where there are too many or too large members, the smallest are taken.';

REVOKE ALL ON FUNCTION tallymark.original_fields(jsonb) FROM PUBLIC;
