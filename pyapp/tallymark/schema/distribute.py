"""Distributes the schema, with its data, functions, roles and rights, over the nodes of a Citus cluster.

Each step finds what is already done, so all of it can be run again: with a new node, with a new release, or after a
crash in the middle. The tables are distributed in one transaction, so no reader or writer meets half of them.
"""

from typing import Any, LiteralString

import psycopg
from psycopg import sql

from tallymark.functions.session import PATIENT, connect, has_citus, is_distributed, is_pooled
from tallymark.schema.backend import MigrationError, Report, explained, silent
from tallymark.schema.cluster import DELEGATED, ROLES, WORKER, ask_all, is_worker, nodes
from tallymark.schema.comparison import Finding
from tallymark.schema.kept_plans import settle_plans
from tallymark.schema.migrate import migrate
from tallymark.schema.nodes import examine_nodes

Connection = psycopg.Connection[Any]

APPLICATION = "tallymark distribute"

#: Citus creates functions on the nodes as its superuser, without the REVOKEs that they have here. What that user has as
#: a default holds from their first moment on.
CLOSE: LiteralString = """
DO $$
DECLARE
  v_role text;
BEGIN
  PERFORM pg_catalog.set_config('citus.enable_ddl_propagation', 'off', true);
  FOR v_role IN SELECT r.rolname FROM pg_catalog.pg_roles AS r
    WHERE r.rolname = current_user OR r.oid = (SELECT extowner FROM pg_catalog.pg_extension WHERE extname = 'citus')
  LOOP
    EXECUTE pg_catalog.format('ALTER DEFAULT PRIVILEGES FOR ROLE %I REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC', v_role);
  END LOOP;
END
$$
"""

#: The lock_timeout of a session does not reach the other nodes. There functions work as their owner: its setting holds.
LOCK_TIMEOUT = "2s"

#: Tables that are not distributed yet, the jobs first. A table without a job's id is copied to each node.
_TABLES = """
SELECT c.relname, c.relname = 'job' OR a.attname IS NOT NULL AS has_job FROM pg_catalog.pg_class AS c
  LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'job_id' AND NOT a.attisdropped
WHERE c.relnamespace = 'tallymark'::regnamespace AND c.relkind = 'r'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_dist_partition AS p WHERE p.logicalrelid = c.oid)
ORDER BY c.relname <> 'job', 2 DESC, 1
"""
#: Distributed tables that still have the rows here that were copied to the nodes.
_LEFT_HERE = """
SELECT p.logicalrelid::text FROM pg_catalog.pg_dist_partition AS p
  JOIN pg_catalog.pg_class AS c ON c.oid = p.logicalrelid
WHERE c.relnamespace = 'tallymark'::regnamespace AND pg_catalog.pg_relation_size(c.oid) > 0 ORDER BY 1
"""
_FUNCTIONS = """
SELECT p.oid::regprocedure::text, p.proname, o.objid IS NOT NULL, o.distribution_argument_index IS NOT NULL,
  p.proisstrict AND o.distribution_argument_index IS NOT NULL AND o.colocationid = j.colocationid
FROM pg_catalog.pg_proc AS p CROSS JOIN pg_catalog.pg_dist_partition AS j
  LEFT JOIN pg_catalog.pg_dist_object AS o ON o.classid = 'pg_proc'::regclass AND o.objid = p.oid
WHERE p.pronamespace = 'tallymark'::regnamespace AND j.logicalrelid = 'tallymark.job'::regclass ORDER BY 1
"""


class NotDistributableError(MigrationError):
    """This database cannot be distributed as it is; the message has the cause and the cure."""


def distribute(url: str, *, shards: int = 32, report: Report = silent) -> list[Finding]:
    """Distribute all of the schema over the nodes that the coordinator knows, and return what is wrong afterwards.

    Args:
        url: the coordinator's database, as a superuser.
        shards: how many parts the jobs are divided into, when they are distributed for the first time.
        report: gets one line for each step.

    Raises:
        MigrationError: There is no cluster to distribute over, or a step failed; what was done before it stays.
    """
    with explained("cannot connect"):
        connection = connect(url, session=PATIENT, application=APPLICATION)
    with connection:
        with explained("cannot look at the cluster"):
            refuse(connection)
        report(f"{len(nodes(connection))} nodes: {', '.join(map(str, nodes(connection)))}")
        _close(connection, report)
        report("installing the schema on the coordinator")
        migrate(url, report=report)
        with explained("cannot distribute the tables, so none was"):
            _tables(connection, shards, report)
        with explained("cannot remove what was copied to the nodes"):
            _remove_copied(connection, report)
        with explained("cannot let the roles log in, which the nodes need to reach each other"):
            report(f"LOGIN for {', '.join(ROLES)}; let pg_hba.conf admit them from the nodes only")
            for role in ROLES:
                connection.execute(sql.SQL("ALTER ROLE {} LOGIN").format(sql.Identifier(role)))
        with explained("cannot limit how long functions wait for a job on another node"):
            report(f"functions on the coordinator wait for a job of another node for {LOCK_TIMEOUT} at most")
            connection.execute(
                sql.SQL("ALTER ROLE tallymark_owner IN DATABASE {} SET lock_timeout = {}").format(
                    sql.Identifier(connection.info.dbname), sql.Literal(LOCK_TIMEOUT)
                )
            )
        with explained("cannot distribute the functions"):
            new = [signature for signature, _, known, *_ in _functions(connection) if not known]
            report(f"{len(new)} functions to the nodes")
            for signature in new:
                connection.execute("SELECT pg_catalog.create_distributed_function(%s)", [signature])
        report("installing the functions on all nodes, with their rights")
        migrate(url, report=report)
        with explained("cannot have functions run on the node of their job"):
            _delegate(connection, report)
        with explained("cannot see to it that the nodes do not run out of memory"):
            settle_plans(connection, report)
        report("checking all nodes")
        return check(connection)


def check_only(url: str) -> list[Finding]:
    """Return what is wrong with the nodes of a distributed database, and change nothing.

    Raises:
        MigrationError: There is no cluster, it cannot be reached, or the database is not distributed.
    """
    with explained("cannot connect"):
        connection = connect(url, session=PATIENT, application=APPLICATION)
    with connection, explained("cannot look at the cluster"):
        refuse(connection, changing=False)
        if not is_distributed(connection):
            raise NotDistributableError(
                "the jobs of this database are on one server: tallymark distribute puts them on the nodes"
            )
        return check(connection)


def check(connection: Connection) -> list[Finding]:
    """Return what is wrong with the nodes."""
    with explained("cannot check the nodes"):
        return examine_nodes(connection)


def refuse(connection: Connection, *, changing: bool = True) -> None:
    """Raise a NotDistributableError where there is no cluster to distribute over, or, to change it, no right to."""
    if is_pooled(connection):
        raise NotDistributableError("this URL leads to a connection pooler: name the coordinator itself in the URL")
    if not has_citus(connection):
        raise NotDistributableError(
            "this database has no Citus, so there is nothing to distribute over. Where one server is enough, nothing "
            "is to be done; otherwise docs/scaling.md has the steps, beginning with CREATE EXTENSION citus;"
        )
    if is_worker(connection):
        raise NotDistributableError(WORKER)
    known = nodes(connection)
    if not any(node.group for node in known):
        raise NotDistributableError(
            "the coordinator knows no nodes: for each, SELECT citus_add_node('its name', 5432); but read first in "
            "docs/scaling.md how to close its rights"
        )
    if all(node.group for node in known):
        raise NotDistributableError(
            "the nodes do not know where the coordinator is: SELECT citus_set_coordinator_host('its name', 5432);"
        )
    if changing and connection.execute("SELECT FROM pg_roles WHERE rolname = session_user AND rolsuper").rowcount == 0:
        raise NotDistributableError(
            f"only a superuser may distribute, which {connection.info.user} is not: name one in the URL"
        )


def _close(connection: Connection, report: Report) -> None:
    """Keep functions that will arrive on the nodes from being for everybody. It comes before all other steps."""
    report("functions that arrive on a node are for nobody until they are granted")
    with explained("cannot close the rights on the nodes"):
        for answer in ask_all(connection, CLOSE):
            if not answer.succeeded:
                raise NotDistributableError(f"node {answer.node} does not do its part: {answer.result}")


def _tables(connection: Connection, shards: int, report: Report) -> None:
    """Distribute the tables that are not yet, with their rows, in one transaction."""
    with connection.transaction():
        connection.execute("SET LOCAL citus.multi_shard_modify_mode = 'sequential'")
        for name, has_job in connection.execute(_TABLES).fetchall():
            table = f"tallymark.{name}"
            if name == "job":
                report(f"{table} by id, in {shards} shards; updates wait until all tables are distributed")
                connection.execute(
                    "SELECT pg_catalog.create_distributed_table(%s, 'id', shard_count => %s, colocate_with => 'none')",
                    [table, shards],
                )
            elif has_job:
                report(f"{table} by job_id, beside its jobs")
                connection.execute(
                    "SELECT pg_catalog.create_distributed_table(%s, 'job_id', colocate_with => 'tallymark.job')",
                    [table],
                )
            else:
                report(f"{table} to every node")
                connection.execute("SELECT pg_catalog.create_reference_table(%s)", [table])


def _remove_copied(connection: Connection, report: Report) -> None:
    """Remove the rows here that were copied to the nodes; no query sees them any more."""
    for (name,) in connection.execute(_LEFT_HERE).fetchall():
        report(f"{name}: its rows are on the nodes, removing those that are left here")
        connection.execute("SELECT pg_catalog.truncate_local_data_after_distributing_table(%s)", [name])


def _functions(connection: Connection) -> list[tuple[str, str, bool, bool, bool]]:
    """List all functions: signature, name, whether nodes have it, whether it runs beside its job, and safely."""
    return connection.execute(_FUNCTIONS).fetchall()


def _delegate(connection: Connection, report: Report) -> None:
    """Have functions run on the node of their job. STRICT comes first: a NULL would crash it."""
    functions = _functions(connection)
    new = [signature for signature, name, _, _, is_right in functions if name in DELEGATED and not is_right]
    old = [signature for signature, name, _, runs_there, _ in functions if runs_there and name not in DELEGATED]
    report(f"{len(new)} functions more run on the node of their job, and {len(old)} do no longer")
    for signature in old:  # so did an earlier release
        connection.execute("SELECT pg_catalog.create_distributed_function(%s)", [signature])
        connection.execute(f"ALTER FUNCTION {signature} CALLED ON NULL INPUT".encode())
    for signature in new:
        connection.execute(f"ALTER FUNCTION {signature} STRICT".encode())
        connection.execute(
            "SELECT pg_catalog.create_distributed_function(%s, 'job_id', colocate_with => 'tallymark.job', "
            "force_delegation => false)",
            [signature],
        )
