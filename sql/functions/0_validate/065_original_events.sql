-- Reads the timeline of the original, entry by entry. Each entry becomes an event, whatever is wrong with it.

CREATE OR REPLACE FUNCTION tallymark.original_events(timeline jsonb, otherwise timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_most_named CONSTANT integer := 100; -- enough to see what is wrong
  v_read jsonb;
BEGIN
  IF coalesce(jsonb_typeof(original_events.timeline), 'null') = 'null' THEN
    RETURN jsonb_build_object('taken', '[]'::jsonb, 'problems', '[]'::jsonb, 'kept', '{}'::jsonb,
      'mended', CASE WHEN original_events.timeline IS NULL THEN '[]'
        ELSE '[{"field": "progress.timeline", "mended": "null counts as not given"}]'::jsonb END);
  ELSIF jsonb_typeof(original_events.timeline) <> 'array' THEN
    RETURN jsonb_build_object('taken', '[]'::jsonb, 'mended', '[]'::jsonb,
      'problems', '[{"field": "progress.timeline", "problem": "must be an array"}]'::jsonb,
      'kept', jsonb_build_object('progress.timeline', original_events.timeline));
  END IF;
  WITH read AS MATERIALIZED (
    SELECT e.value AS entry, e.number, tallymark.original_time(e.value -> 'timestamp') AS at,
      jsonb_typeof(e.value) = 'object' AS is_object,
      CASE WHEN jsonb_typeof(e.value -> 'event') IN ('string', 'number') THEN nullif(e.value ->> 'event', '')
        END AS event
    FROM jsonb_array_elements(original_events.timeline) WITH ORDINALITY AS e (value, number)
  ), timed AS (
    -- An entry without a time has that of the entry before it; those at the beginning have that of the first with one.
    SELECT r.*, count(r.at) OVER (ORDER BY r.number) AS run FROM read AS r
  ), judged AS (
    SELECT t.*, coalesce(first_value(t.at) OVER (PARTITION BY t.run ORDER BY t.number),
        min(t.at) FILTER (WHERE t.run = 1) OVER (), original_events.otherwise) AS shown_at,
      nullif(concat_ws('; ',
        CASE WHEN NOT t.is_object THEN 'is no object'
          WHEN t.event IS NULL THEN 'has no name of an event; it is called unknown'
          WHEN char_length(t.event) > 100 THEN 'the name of the event was cut to 100 characters'
          WHEN jsonb_typeof(t.entry -> 'event') <> 'string' THEN 'the name of the event was no text' END,
        CASE WHEN t.is_object AND t.at IS NULL THEN 'has no valid timestamp; the one beside it is used' END,
        CASE WHEN t.is_object AND t.at IS NOT NULL AND jsonb_typeof(t.entry -> 'timestamp') = 'number'
          THEN 'the timestamp was in milliseconds' END,
        CASE WHEN t.is_object AND t.entry - '{timestamp,event,details}'::text[] <> '{}'
          THEN 'has members beside timestamp, event and details' END), '') AS note
    FROM timed AS t
  ), shown AS (
    SELECT j.*, CASE WHEN j.note IS NOT NULL THEN row_number() OVER (PARTITION BY j.note IS NULL ORDER BY j.number)
      END AS place
    FROM judged AS j
  )
  SELECT jsonb_build_object(
    'taken', coalesce(jsonb_agg(jsonb_build_object(
      'timestamp', tallymark.iso_timestamp(s.shown_at), 'event', coalesce(left(s.event, 100), 'unknown'),
      'details', CASE WHEN s.note IS NULL THEN coalesce(s.entry -> 'details', '{}')
        ELSE CASE WHEN jsonb_typeof(s.entry -> 'details') = 'object' THEN s.entry -> 'details' ELSE '{}' END
          || jsonb_build_object('original', s.entry) END) ORDER BY s.number), '[]'),
    'mended', coalesce(jsonb_agg(jsonb_build_object('field', format('progress.timeline[%s]', s.number - 1),
        'mended', s.note || '; the entry is in the details of its event') ORDER BY s.number)
      FILTER (WHERE s.place <= c_most_named), '[]')
      || CASE WHEN count(s.place) > c_most_named THEN jsonb_build_array(jsonb_build_object('field', 'progress.timeline',
        'mended', format('and so on: %s entries in all', count(s.place)))) ELSE '[]' END)
  INTO v_read FROM shown AS s;
  RETURN v_read || '{"problems": [], "kept": {}}';
END
$$;

COMMENT ON FUNCTION tallymark.original_events(jsonb, timestamptz) IS
'Reads the timeline of the original.
Arguments: timeline: the value of the member, null where there is none; otherwise: the time of events that have none
themselves and stand beside none that has.
Returns: {"taken": one {"timestamp", "event", "details"} for each entry, in their order, as append_own_events takes
them; an entry that is not well formed is in its details as "original"; "mended": [{"field", "mended"}] for these,
about 100 at most; "problems" and "kept": as those of original_counts, for a timeline that is no array}.';

REVOKE ALL ON FUNCTION tallymark.original_events(jsonb, timestamptz) FROM PUBLIC;
