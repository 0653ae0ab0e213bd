-- Gives a page of a field's history as one JSON document, as HTTP answers it.

CREATE OR REPLACE FUNCTION tallymark.history_page(
  job_id text, field text, after_seq bigint DEFAULT 0, max_events integer DEFAULT 100
) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_most CONSTANT integer := least(greatest(coalesce(history_page.max_events, 100), 1), 1000);
  c_most_bytes CONSTANT integer := tallymark.page_byte_limit();
  v_events jsonb;
BEGIN
  -- One row more than the page holds shows whether there is a next page.
  SELECT coalesce(jsonb_agg(jsonb_build_object('seq', h.seq, 'timestamp', tallymark.iso_timestamp(h."timestamp"),
    'event', h.event, 'given', h.given, 'value', h.value) ORDER BY h.seq), '[]')
  INTO v_events
  FROM tallymark.accumulation_history(history_page.job_id, history_page.field, history_page.after_seq, v_most + 1) AS h;
  RETURN jsonb_build_object('field', history_page.field, 'history', v_events - v_most,
    'next', CASE WHEN jsonb_array_length(v_events) > v_most THEN v_events -> (v_most - 1) -> 'seq'
    WHEN octet_length(v_events::text) > c_most_bytes THEN v_events -> -1 -> 'seq' END); -- a page cut by its size
END
$$;

COMMENT ON FUNCTION tallymark.history_page(text, text, bigint, integer) IS
'Reads a page of accumulation_history as one JSON document.
Arguments: as those of accumulation_history; max_events: 1 to 1000.
Returns: {"field", "history": [{"seq", "timestamp", "event", "given", "value"}], "next": the after_seq of the next
page, null where there is none}.
Errors: TK404 where there is no such job; TK400 where job_id is null, empty or too long, or where field is null.
Callers: tallymark_reader, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.history_page(text, text, bigint, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.history_page(text, text, bigint, integer) TO tallymark_reader, tallymark_admin;
