-- Writes a duration for people.

CREATE OR REPLACE FUNCTION tallymark.duration_text(span interval) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_seconds CONSTANT numeric := greatest(extract(epoch FROM duration_text.span), 0);
BEGIN
  RETURN CASE
    WHEN duration_text.span IS NULL THEN NULL
    WHEN v_seconds < 10 THEN trim_scale(round(v_seconds, 1)) || ' s'
    WHEN v_seconds < 120 THEN round(v_seconds) || ' s'
    WHEN v_seconds < 7200 THEN round(v_seconds / 60) || ' minutes'
    WHEN v_seconds < 172800 THEN round(v_seconds / 3600) || ' hours'
    ELSE round(v_seconds / 86400) || ' days'
  END;
END
$$;

COMMENT ON FUNCTION tallymark.duration_text(interval) IS
'Writes a duration for people, in the one unit that fits, such as 3.2 s, 14 minutes, 5 hours or 12 days. A negative
duration counts as 0.';

REVOKE ALL ON FUNCTION tallymark.duration_text(interval) FROM PUBLIC;
