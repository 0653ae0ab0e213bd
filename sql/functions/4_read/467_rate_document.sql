-- Gives a rate as JSON, with the time that the rest of the work will take.

CREATE OR REPLACE FUNCTION tallymark.rate_document(
  rate numeric, error numeric, items_left numeric, at timestamptz
) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_places CONSTANT integer := 6;
  v_low CONSTANT numeric := greatest(rate_document.rate - rate_document.error, 0);
  v_high CONSTANT numeric := rate_document.rate + rate_document.error;
  v_seconds CONSTANT numeric := rate_document.items_left / nullif(rate_document.rate, 0);
  c_longest CONSTANT numeric := 3155760000; -- a century: beyond that no instant is given
BEGIN
  RETURN jsonb_build_object(
    'itemsPerSecond', trim_scale(round(rate_document.rate, c_places)),
    'low', CASE WHEN rate_document.error IS NOT NULL THEN trim_scale(round(v_low, c_places)) END,
    'high', trim_scale(round(v_high, c_places)),
    'itemsLeft', rate_document.items_left,
    'etaSeconds', trim_scale(round(v_seconds, 3)),
    'etaSecondsLow', trim_scale(round(rate_document.items_left / nullif(v_high, 0), 3)),
    'etaSecondsHigh', CASE WHEN rate_document.error IS NOT NULL
      THEN trim_scale(round(rate_document.items_left / nullif(v_low, 0), 3)) END,
    'eta', CASE WHEN v_seconds < c_longest
      THEN tallymark.iso_timestamp(date_trunc('milliseconds', rate_document.at + v_seconds * interval '1 second')) END);
END
$$;

COMMENT ON FUNCTION tallymark.rate_document(numeric, numeric, numeric, timestamptz) IS
'Gives a rate as JSON, with the time at which the rest of the work will be done.
Arguments: rate: items a second, null where it is not known; error: how far the true rate may be from it, or null;
items_left: how many items are left, or null; at: now.
Returns: {"itemsPerSecond", "low", "high", "itemsLeft", "etaSeconds", "etaSecondsLow", "etaSecondsHigh", "eta": the
instant, where it is within a century}. A value that is not known is null, and so is etaSecondsHigh where the work may
never be done.';

REVOKE ALL ON FUNCTION tallymark.rate_document(numeric, numeric, numeric, timestamptz) FROM PUBLIC;
