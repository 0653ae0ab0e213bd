"""What users made that depends on the schema `tallymark`, such as a view on one of its tables.

CASCADE drops such objects without a question. So a rollback, which is one transaction, looks whether all are still
there at its end.
"""

from typing import Any, NamedTuple

import psycopg

# A view depends through its rule. What belongs to the schema is no dependent, and neither are internal parts, such as
# the TOAST table of a table.
_DEPENDENTS = """
WITH RECURSIVE ours AS (
  SELECT 'pg_class'::regclass::oid AS class, oid AS object FROM pg_class
    WHERE relnamespace = to_regnamespace('tallymark')
  UNION ALL SELECT 'pg_proc'::regclass, oid FROM pg_proc WHERE pronamespace = to_regnamespace('tallymark')
  UNION ALL SELECT 'pg_type'::regclass, oid FROM pg_type WHERE typnamespace = to_regnamespace('tallymark')
  UNION ALL SELECT 'pg_constraint'::regclass, oid FROM pg_constraint
    WHERE connamespace = to_regnamespace('tallymark')
), inside AS (
  SELECT class, object FROM ours
  UNION ALL SELECT 'pg_attrdef'::regclass, d.oid FROM pg_attrdef AS d JOIN ours AS o ON o.object = d.adrelid
    WHERE o.class = 'pg_class'::regclass
  UNION ALL SELECT 'pg_trigger'::regclass, t.oid FROM pg_trigger AS t JOIN ours AS o ON o.object = t.tgrelid
    WHERE o.class = 'pg_class'::regclass
  UNION ALL SELECT 'pg_policy'::regclass, p.oid FROM pg_policy AS p JOIN ours AS o ON o.object = p.polrelid
    WHERE o.class = 'pg_class'::regclass
), edge AS (
  SELECT d.refclassid, d.refobjid, CASE WHEN r.oid IS NULL THEN d.classid ELSE 'pg_class'::regclass END AS class,
    coalesce(r.ev_class, d.objid) AS object, CASE WHEN r.oid IS NULL THEN d.objsubid ELSE 0 END AS part
  FROM pg_depend AS d LEFT JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
  WHERE d.deptype IN ('n', 'a')
), theirs AS (
  SELECT e.class, e.object, e.part FROM edge AS e JOIN ours AS o ON o.class = e.refclassid AND o.object = e.refobjid
  WHERE NOT EXISTS (SELECT FROM inside AS i WHERE i.class = e.class AND i.object = e.object)
  UNION
  SELECT e.class, e.object, e.part FROM theirs AS t JOIN edge AS e ON e.refclassid = t.class AND e.refobjid = t.object
  WHERE NOT EXISTS (SELECT FROM inside AS i WHERE i.class = e.class AND i.object = e.object)
)
SELECT t.class::oid, t.object, t.part, i.type || ' ' || i.identity
FROM theirs AS t, pg_identify_object(t.class, t.object, t.part) AS i ORDER BY 4
"""

_MISSING = """
SELECT name FROM unnest(%s::oid[], %s::oid[], %s::integer[], %s::text[]) AS t (class, object, part, name)
WHERE pg_describe_object(class, object, part) IS NULL
  OR class = 'pg_class'::regclass
    AND EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = object AND a.attnum = part AND a.attisdropped)
ORDER BY name
"""


class Dependent(NamedTuple):
    """An object outside the schema: where the catalogue has it, and its type and name."""

    catalogue: int
    object: int
    part: int
    name: str


def dependents(connection: psycopg.Connection[Any]) -> list[Dependent]:
    """List what is outside the schema and depends on it, also by way of other such objects."""
    return [Dependent(*row) for row in connection.execute(_DEPENDENTS)]


def missing(connection: psycopg.Connection[Any], objects: list[Dependent]) -> list[str]:
    """Return the names of those that are not there any more."""
    columns = [list(column) for column in zip(*objects, strict=True)] or [[], [], [], []]
    return [name for (name,) in connection.execute(_MISSING, columns)]
