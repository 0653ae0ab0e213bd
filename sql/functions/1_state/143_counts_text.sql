-- Writes counts by type for people, the largest first.

CREATE OR REPLACE FUNCTION tallymark.counts_text(counts jsonb) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_most_types CONSTANT integer := 5; -- more are not read
BEGIN
  RETURN (
    SELECT string_agg(t.items || ' ' || left(t.type, 100), ', ' ORDER BY t.place)
      || CASE max(t.types) - c_most_types WHEN 1 THEN ' and those of 1 more type'
        ELSE coalesce(' and those of ' || nullif(greatest(max(t.types) - c_most_types, 0), 0) || ' more types', '') END
    FROM (
      SELECT c.key AS type, c.value #>> '{}' AS items, count(*) OVER () AS types,
        row_number() OVER (ORDER BY c.value::numeric DESC, c.key COLLATE "C") AS place
      FROM jsonb_each(counts_text.counts) AS c
    ) AS t
    WHERE t.place <= c_most_types);
END
$$;

COMMENT ON FUNCTION tallymark.counts_text(jsonb) IS
'Writes counts by type for people, such as 7 issues, 2 notes.
Arguments: counts: an object of numbers, such as a shortfall.
Returns: the five largest, and how many more types there are; null where there is none.';

REVOKE ALL ON FUNCTION tallymark.counts_text(jsonb) FROM PUBLIC;
