-- Gives areas as one JSON document, as HTTP answers it.

CREATE OR REPLACE FUNCTION tallymark.areas_page(
  root_path text DEFAULT NULL, max_depth integer DEFAULT NULL, max_areas integer DEFAULT 1000,
  id_prefix text DEFAULT NULL, job_id text DEFAULT NULL
) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN (
    SELECT jsonb_build_object('areas', coalesce(jsonb_agg(jsonb_build_object('path', t.path, 'parent', t.parent,
      'depth', t.depth, 'type', t.type, 'name', t.name, 'jobs', t.jobs) ORDER BY t.number), '[]'))
    FROM tallymark.areas_tree(areas_page.root_path, areas_page.max_depth, areas_page.max_areas, areas_page.id_prefix,
      areas_page.job_id) WITH ORDINALITY AS t (path, parent, depth, type, name, jobs, number));
END
$$;

COMMENT ON FUNCTION tallymark.areas_page(text, integer, integer, text, text) IS
'Gives areas_tree as one JSON document.
Arguments: as those of areas_tree.
Returns: {"areas": [{"path", "parent", "depth", "type", "name", "jobs"}]}, each followed by the areas that belong to
it.
Errors: TK404 where there is no such job; TK400 where job_id is empty or too long.
Callers: tallymark_reader, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.areas_page(text, integer, integer, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.areas_page(text, integer, integer, text, text) TO tallymark_reader, tallymark_admin;
