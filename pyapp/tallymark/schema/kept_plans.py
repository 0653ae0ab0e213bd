"""Nodes whose release of Citus keeps a plan for each query of a job, until the session ends or there is no memory left.

PostgreSQL plans a statement of a function some times, and then keeps one plan for all calls. In some releases of Citus
(13.2.2 is one) a session on the node of a job adds another copy of that plan each time, about 150 kB for an update. On
such nodes every query is planned by itself, which keeps none.
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
#: Whether the database has the setting: true or false.
PLANS_EACH: LiteralString = """EXISTS (
    SELECT FROM pg_catalog.pg_db_role_setting AS s JOIN pg_catalog.pg_database AS d ON d.oid = s.setdatabase
    WHERE s.setrole = 0 AND d.datname = current_database()
      AND 'plan_cache_mode=force_custom_plan' = ANY (s.setconfig))"""
#: Sets it where plans are kept, and takes it away where they are not any more.
_SETTLE: LiteralString = f"""
DO $$
DECLARE
  v_is_set CONSTANT boolean := {PLANS_EACH};
BEGIN
  IF (tallymark.plan_growth() > 0) <> v_is_set THEN
    PERFORM pg_catalog.set_config('citus.enable_ddl_propagation', 'off', true);
    EXECUTE pg_catalog.format('ALTER DATABASE %I %s plan_cache_mode %s', current_database(),
      CASE WHEN v_is_set THEN 'RESET' ELSE 'SET' END, CASE WHEN NOT v_is_set THEN '= force_custom_plan' END);
  END IF;
END
$$
"""


def keeping_plans(connection: Connection) -> dict[Node, int]:
    """Return the nodes that keep a plan for each query, with the bytes of one; nodes that are away are left out."""
    answers = (answer for answer in ask_all(connection, _GROWTH) if answer.succeeded)
    return {answer.node: int(answer.result) for answer in answers if int(answer.result) > 0}


def settle_plans(connection: Connection, report: Report) -> None:
    """Have the nodes that keep plans plan each query by itself, in sessions that begin from now on."""
    for node, size in keeping_plans(connection).items():
        report(f"node {node} plans each query by itself, because its Citus keeps {size:,} bytes for each")
    for answer in ask_all(connection, _SETTLE):
        if not answer.succeeded:
            raise MigrationError(f"node {answer.node} does not do its part: {answer.result}")
