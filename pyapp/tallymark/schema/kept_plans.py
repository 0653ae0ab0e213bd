"""Nodes whose release of Citus keeps a plan for each query of a job, until the session ends or there is no memory left.

PostgreSQL plans a statement of a function some times, and then keeps one plan for all calls. In some releases of Citus
(13.2.2 is one) a session on the node of a job adds another copy of that plan each time, about 150 kB for an update. On
such nodes every query is planned by itself, which keeps none.

A node without jobs, such as a new one, cannot be measured. Shards may be moved to it at any time, so it is set as soon
as another node keeps plans.
"""

from typing import Any, LiteralString

import psycopg

from tallymark.schema.backend import MigrationError, Report
from tallymark.schema.cluster import Node, ask_all

Connection = psycopg.Connection[Any]

SETTING = "plan_cache_mode"
CUSTOM = "force_custom_plan"
KEEPS = "a session keeps {size:,} bytes for each query of a job, until there is no memory left"

_GROWTH = "SELECT tallymark.plan_growth()"
#: A node, called n, that may get jobs and has none yet.
_IS_EMPTY: LiteralString = """n.noderole = 'primary' AND n.shouldhaveshards AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_dist_shard AS s JOIN pg_catalog.pg_dist_placement AS p USING (shardid)
    WHERE s.logicalrelid = 'tallymark.job'::regclass AND p.groupid = n.groupid)"""
_EMPTY: LiteralString = f"SELECT n.nodeid FROM pg_catalog.pg_dist_node AS n WHERE {_IS_EMPTY}"  # noqa: S608 - made of constants
#: Whether the database has the setting: true or false.
PLANS_EACH: LiteralString = """EXISTS (
    SELECT FROM pg_catalog.pg_db_role_setting AS s JOIN pg_catalog.pg_database AS d ON d.oid = s.setdatabase
    WHERE s.setrole = 0 AND d.datname = current_database()
      AND 'plan_cache_mode=force_custom_plan' = ANY (s.setconfig))"""
#: Whether the node that is asked has no jobs; each node has the coordinator's list of nodes.
_IS_EMPTY_HERE: LiteralString = f"""EXISTS (
    SELECT FROM pg_catalog.pg_dist_node AS n JOIN pg_catalog.pg_dist_local_group AS g USING (groupid)
    WHERE {_IS_EMPTY})"""


def _settle(needs: LiteralString) -> LiteralString:
    """Set it where a node needs it, and take it away where one does not need it any more."""
    return f"""
DO $$
DECLARE
  v_is_set CONSTANT boolean := {PLANS_EACH};
BEGIN
  IF ({needs}) <> v_is_set THEN
    PERFORM pg_catalog.set_config('citus.enable_ddl_propagation', 'off', true);
    EXECUTE pg_catalog.format('ALTER DATABASE %I %s plan_cache_mode %s', current_database(),
      CASE WHEN v_is_set THEN 'RESET' ELSE 'SET' END, CASE WHEN NOT v_is_set THEN '= force_custom_plan' END);
  END IF;
END
$$
"""


_SETTLE = _settle("tallymark.plan_growth() > 0")
_SETTLE_WITH_EMPTY = _settle(f"tallymark.plan_growth() > 0 OR {_IS_EMPTY_HERE}")


def keeping_plans(connection: Connection) -> dict[Node, int]:
    """Return the nodes that keep a plan for each query, with the bytes of one; nodes that are away are left out.

    Where there are any, those without jobs are among them, with the most bytes that another node keeps.
    """
    answers = [answer for answer in ask_all(connection, _GROWTH) if answer.succeeded]
    found = {answer.node: int(answer.result) for answer in answers}
    if most := max(found.values(), default=0):
        empty = {row[0] for row in connection.execute(_EMPTY)}
        found |= {node: most for node in found if node.id in empty}
    return {node: size for node, size in found.items() if size > 0}


def settle_plans(connection: Connection, report: Report) -> None:
    """Have the nodes that keep plans plan each query by itself, in sessions that begin from now on."""
    keeping = keeping_plans(connection)
    for node, size in keeping.items():
        report(f"node {node} plans each query by itself, because its Citus keeps {size:,} bytes for each")
    for answer in ask_all(connection, _SETTLE_WITH_EMPTY if keeping else _SETTLE):
        if not answer.succeeded:
            raise MigrationError(f"node {answer.node} does not do its part: {answer.result}")
