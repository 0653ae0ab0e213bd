-- Leaves out of a JSON value what must not be processed any further.

CREATE OR REPLACE FUNCTION tallymark.without_huge_numbers(value jsonb, place text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  -- What is taken stands some levels deeper afterwards.
  c_deeper CONSTANT jsonb := '{"x": {"x": {"x": null}}}';
  v_read jsonb;
BEGIN
  IF jsonb_typeof(without_huge_numbers.value) NOT IN ('object', 'array') THEN
    RETURN jsonb_build_object('value', CASE WHEN NOT tallymark.has_huge_number(without_huge_numbers.value)
      THEN without_huge_numbers.value END, 'problems', '[]'::jsonb);
  END IF;
  WITH members AS (
    SELECT o.key, o.value, row_number() OVER () AS number FROM jsonb_each(
      CASE jsonb_typeof(without_huge_numbers.value) WHEN 'object' THEN without_huge_numbers.value END) AS o
    UNION ALL
    SELECT NULL, a.value, a.number FROM jsonb_array_elements(
      CASE jsonb_typeof(without_huge_numbers.value) WHEN 'array' THEN without_huge_numbers.value END)
      WITH ORDINALITY AS a (value, number)
  ), judged AS (
    SELECT m.*, tallymark.has_huge_number(jsonb_set(c_deeper, '{x,x,x}', m.value)) AS is_huge FROM members AS m
  )
  SELECT jsonb_build_object(
    'value', CASE jsonb_typeof(without_huge_numbers.value)
      WHEN 'object' THEN coalesce(jsonb_object_agg(coalesce(j.key, ''), j.value) FILTER (WHERE NOT j.is_huge), '{}')
      ELSE coalesce(jsonb_agg(CASE WHEN NOT j.is_huge THEN j.value END ORDER BY j.number), '[]') END,
    'problems', coalesce(jsonb_agg(tallymark.number_problem(jsonb_set(c_deeper, '{x,x,x}', j.value)) -> 0
      || jsonb_build_object('field', without_huge_numbers.place || CASE
        WHEN j.key IS NULL THEN format('[%s]', j.number - 1)
        WHEN without_huge_numbers.place = '' THEN left(j.key, 100)
        ELSE '.' || left(j.key, 100) END) ORDER BY j.number)
      FILTER (WHERE j.is_huge AND j.number <= 200), '[]'))
  INTO v_read FROM judged AS j;
  RETURN v_read;
END
$$;

COMMENT ON FUNCTION tallymark.without_huge_numbers(jsonb, text) IS
'Leaves out of a JSON value the members, or replaces with null the elements, in which has_huge_number finds something:
they cannot be written as text.
Arguments: value: the value; place: where it stands, empty for the
row itself.
Returns: {"value": what is left, "problems": [{"field", "problem"}]}.';

REVOKE ALL ON FUNCTION tallymark.without_huge_numbers(jsonb, text) FROM PUBLIC;
