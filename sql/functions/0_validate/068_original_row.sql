-- Reads a row of the original's table of jobs, column by column.

CREATE OR REPLACE FUNCTION tallymark.original_row(original jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  -- resume_state, resumeState, or resumestate, which PostgreSQL makes of resumeState without quotes.
  v_columns jsonb := (
    SELECT coalesce(jsonb_object_agg(n.name, c.value), '{}')
    FROM jsonb_each(original_row.original) AS c
    JOIN unnest('{id,status,progress,resumeState,startedAt,finishedAt,updatedAt}'::text[]) AS n (name)
      ON lower(n.name COLLATE "C") = lower(replace(c.key, '_', '') COLLATE "C")
    WHERE jsonb_typeof(c.value) <> 'null');
  v_problems jsonb := '[]'::jsonb;
  v_mended jsonb := '[]'::jsonb;
  v_kept jsonb := '{}'::jsonb;
  v_times jsonb := '{}'::jsonb;
  v_name text;
  v_value jsonb;
BEGIN
  -- 1. JSON that was stored as a text. A resume state may be any text, so only one that looks like JSON is read.
  FOREACH v_name IN ARRAY '{progress,resumeState}'::text[] LOOP
    v_value := v_columns -> v_name;
    IF jsonb_typeof(v_value) = 'string' AND (v_value #>> '{}') ~ '^\s*[[{]' THEN
      v_value := tallymark.parse_json(v_value #>> '{}');
      IF v_value IS NOT NULL THEN
        v_columns := v_columns || jsonb_build_object(v_name, v_value);
        v_mended := v_mended
          || jsonb_build_object('field', v_name, 'mended', 'was JSON in a text; it was read');
      END IF;
    END IF;
  END LOOP;

  -- 2. Before anything is written as text.
  IF tallymark.has_huge_number(jsonb_build_object('x', jsonb_build_object('x', v_columns))) THEN
    FOREACH v_name IN ARRAY ARRAY['progress.itemsByType', 'progress.timeline', 'progress', ''] LOOP
      v_value := v_columns #> string_to_array(v_name, '.');
      IF v_value IS NOT NULL THEN
        v_value := tallymark.without_huge_numbers(v_value, v_name);
        v_problems := v_problems || (v_value -> 'problems');
        v_columns := CASE v_name WHEN '' THEN v_value -> 'value'
          ELSE jsonb_set(v_columns, string_to_array(v_name, '.'), v_value -> 'value') END;
      END IF;
    END LOOP;
  END IF;

  -- 3. Each column.
  IF coalesce(jsonb_typeof(v_columns -> 'id'), 'null') NOT IN ('string', 'number')
    OR char_length(v_columns ->> 'id') NOT BETWEEN 1 AND 255
  THEN
    v_problems := '[{"field": "id", "problem": "must be a string of 1 to 255 characters"}]' || v_problems;
  END IF;
  FOREACH v_name IN ARRAY '{startedAt,finishedAt,updatedAt}'::text[] LOOP
    v_value := v_columns -> v_name;
    IF tallymark.original_time(v_value) IS NOT NULL THEN
      v_times := v_times || jsonb_build_object(v_name, tallymark.iso_timestamp(tallymark.original_time(v_value)));
    ELSIF v_value <> 'null' THEN
      v_problems := v_problems || jsonb_build_object('field', v_name, 'problem',
        format('%s, not %s', tallymark.member_rule('timestamp'), left(v_value::text, 100)));
      v_kept := v_kept || jsonb_build_object(v_name, v_value);
    END IF;
  END LOOP;
  IF jsonb_typeof(v_columns -> 'progress') NOT IN ('object', 'null') THEN
    v_problems := v_problems || '{"field": "progress", "problem": "must be an object"}';
    v_kept := v_kept || jsonb_build_object('progress', v_columns -> 'progress');
  END IF;
  v_value := nullif(v_columns -> 'resumeState', 'null');
  IF NOT tallymark.is_valid_update('', jsonb_build_object('progress', coalesce(v_value, '0'))) THEN
    v_problems := v_problems
      || jsonb_build_object('field', 'resumeState', 'problem', tallymark.member_rule('progress'));
    v_kept := v_kept || jsonb_build_object('resumeState', v_value);
    v_value := NULL;
  END IF;
  RETURN jsonb_build_object('id', v_columns ->> 'id', 'status', v_columns -> 'status',
    'progress', CASE jsonb_typeof(v_columns -> 'progress') WHEN 'object' THEN v_columns -> 'progress' ELSE '{}' END,
    'resumeState', v_value, 'times', v_times, 'problems', v_problems, 'mended', v_mended, 'kept', v_kept,
    'digest', encode(substr(sha256(convert_to(jsonb_build_array(v_columns -> 'status', v_columns -> 'progress',
      v_columns -> 'resumeState', v_times, v_kept)::text, 'UTF8')), 1, 16), 'hex'));
END
$$;

COMMENT ON FUNCTION tallymark.original_row(jsonb) IS
'Reads a row of the original''s table of jobs, column by column.
Arguments: original: the row, a JSON object with the columns id, status, progress, resumeState, startedAt, finishedAt
and updatedAt, or resume_state and so on.
Returns: {"id", "status", "progress": an object, "resumeState", "times": {"startedAt", "finishedAt", "updatedAt"} as far
as they are valid, "problems", "mended", "kept": as those of original_counts, "digest": by which the same row is known
again, 32 hexadecimal digits}.';

REVOKE ALL ON FUNCTION tallymark.original_row(jsonb) FROM PUBLIC;
