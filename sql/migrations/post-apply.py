"""Installs every function and view file: the one installer, run by yoyo after it has applied a migration.

`tallymark migrate` runs this same hook, and runs it also when no migration was pending. It uses nothing but the
connection that yoyo hands over, so that `yoyo apply` works without the Python package.
"""

from pathlib import Path
from typing import Any

from yoyo import step

SQL = Path(__file__).resolve().parent.parent

# Any constant of our own: two installers in one database must not replace the same function at the same moment
# ("tuple concurrently updated"). Released at the end of the transaction, also when the installer is killed.
ADVISORY_LOCK = 0x7A11_3A2C

# What the files mean must not depend on the user who installs them.
SETTINGS = (
    # Names in the files are qualified; nothing that happens to be in `public` may be taken for one of ours.
    "search_path = pg_catalog, pg_temp",
    "client_encoding = 'UTF8'",
    "standard_conforming_strings = on",
    "quote_all_identifiers = off",
    "check_function_bodies = on",
    "statement_timeout = 0",
)

# Functions that Citus runs on the node of their job. CREATE OR REPLACE has taken STRICT away, without which a call with
# NULL crashes the coordinator. In another database there are none.
STRICT_ON_NODES = """
DO $$
DECLARE
  v_function text;
BEGIN
  IF to_regclass('pg_catalog.pg_dist_object') IS NULL THEN
    RETURN;
  END IF;
  FOR v_function IN EXECUTE 'SELECT p.oid::regprocedure::text
    FROM pg_dist_object AS o JOIN pg_proc AS p ON p.oid = o.objid
    WHERE o.classid = ''pg_proc''::regclass AND o.distribution_argument_index IS NOT NULL
      AND p.pronamespace = to_regnamespace(''tallymark'') ORDER BY 1'
  LOOP
    EXECUTE 'ALTER FUNCTION ' || v_function || ' STRICT';
  END LOOP;
END
$$
"""

# In a distributed database a view does not lend its owner's rights: readers need them on the tables behind. Both tables
# have what the views show. Tables that each node has a copy of, such as that of the tokens, are never among them.
READABLE_ON_NODES = """
DO $$
DECLARE
  v_table text;
BEGIN
  IF to_regclass('pg_catalog.pg_dist_partition') IS NULL THEN
    RETURN;
  END IF;
  PERFORM set_config('citus.multi_shard_modify_mode', 'sequential', true);
  FOR v_table IN EXECUTE 'SELECT DISTINCT t.oid::regclass::text
    FROM pg_class AS v JOIN pg_rewrite AS r ON r.ev_class = v.oid
      JOIN pg_depend AS d ON d.classid = ''pg_rewrite''::regclass AND d.objid = r.oid
      JOIN pg_dist_partition AS p ON d.refclassid = ''pg_class''::regclass AND p.logicalrelid = d.refobjid
      JOIN pg_class AS t ON t.oid = p.logicalrelid
    WHERE v.relkind = ''v'' AND v.relnamespace = to_regnamespace(''tallymark'')
      AND t.relnamespace = v.relnamespace AND p.partmethod = ''h'' ORDER BY 1'
  LOOP
    EXECUTE 'GRANT SELECT ON ' || v_table || ' TO tallymark_reader, tallymark_admin';
  END LOOP;
END
$$
"""


def install(connection: Any) -> None:  # noqa: ANN401 - psycopg's or psycopg2's, whichever yoyo was given
    """Run all files, in the order of their numbers, as the owner of the schema; yoyo has opened the transaction.

    Args:
        connection: yoyo's DB-API connection, inside a transaction that yoyo commits.

    Raises:
        FileNotFoundError: no function file was found, so committing would leave a system that does nothing.
    """
    functions = sorted((SQL / "functions").rglob("*.sql"), key=lambda path: path.name)
    if not functions:
        raise FileNotFoundError(f"no function files in {SQL / 'functions'}")
    cursor = connection.cursor()
    cursor.execute("SELECT pg_catalog.pg_advisory_xact_lock(%s)", [ADVISORY_LOCK])
    cursor.execute("SET LOCAL ROLE tallymark_owner")
    for setting in SETTINGS:
        cursor.execute(f"SET LOCAL {setting}")
    for path in [*functions, *sorted((SQL / "views").glob("*.sql"))]:
        try:
            cursor.execute(path.read_text(encoding="utf-8"))
        except Exception as error:
            # Python 3.11's note: keeps the driver's own exception, and says which of the files it was.
            error.add_note(f"while installing {path}")
            raise
    cursor.execute(STRICT_ON_NODES)
    cursor.execute(READABLE_ON_NODES)


step(install)
