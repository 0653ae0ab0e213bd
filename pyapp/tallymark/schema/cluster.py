"""A database that Citus distributes over several servers: what it is, which nodes it has, and how they are asked."""

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from tallymark.functions.session import has_citus

Connection = psycopg.Connection[Any]

#: The roles of the migrations. Nodes log in to each other as these, so they have LOGIN in a distributed database.
ROLES = ("tallymark_owner", "tallymark_writer", "tallymark_reader", "tallymark_admin")

#: Functions that run on the node of their job, if they are called as a statement by themselves. Citus 13.2 crashes
#: (signal 11) where the id is NULL, unless the function is STRICT and gives one value. So here are only functions that
#: return no set, and have no argument with a default, for which NULL would stand. Those that compare a job with its
#: ledger have to be here: only on one node do their statements share a snapshot.
DELEGATED = frozenset(
    (
        *("merge_progress", "receive_for_job", "receive_alive", "receive_unseen", "note_verification"),
        *("verify_job", "verify_page", "job_record", "stages_page"),
    )
)

#: Tables behind the views of readers. A view does not lend its owner's rights where it is distributed, so `migrate`
#: grants readers these there. They are granted as a whole: nothing in them is kept from readers.
READ_BY_VIEWS = ("tallymark.job", "tallymark.job_event")
#: Who may select from the views.
READERS = ("tallymark_admin", "tallymark_reader")

_IS_WORKER = "SELECT FROM pg_catalog.pg_dist_local_group WHERE groupid <> 0"
#: What every command says there that looks at the schema as a whole, or changes it.
WORKER = "this server is a worker of a cluster: name the coordinator in the URL"
_NODES = """
SELECT n.nodeid, n.groupid, n.nodename, n.nodeport FROM pg_catalog.pg_dist_node AS n
WHERE n.noderole = 'primary' ORDER BY n.groupid, n.nodeid
"""
_ASK = "SELECT nodeid, success, result FROM pg_catalog.run_command_on_all_nodes(%s)"


@dataclass(frozen=True)
class Node:
    """A server of the cluster, by the name that Citus knows; the coordinator's group is 0."""

    id: int
    group: int
    name: str
    port: int

    def __str__(self) -> str:
        return f"{self.name}:{self.port}{'' if self.group else ' (coordinator)'}"


@dataclass(frozen=True)
class Answer:
    """What a node said to a command: its result, or the reason why there is none."""

    node: Node
    succeeded: bool
    result: str


def is_worker(connection: Connection) -> bool:
    """Say whether this server is one of the nodes that a coordinator distributes to."""
    return has_citus(connection) and connection.execute(_IS_WORKER).fetchone() is not None


def nodes(connection: Connection) -> list[Node]:
    """List the servers that the coordinator knows, itself first if it knows its own name."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        return [Node(*row) for row in cursor.execute(_NODES)]


def ask_all(connection: Connection, command: str) -> list[Answer]:
    """Run one statement on all nodes, each in a transaction of its own, and return their answers in order.

    A node that is away, or on which it failed, answers too: with the error's message.
    """
    with connection.cursor(row_factory=tuple_row) as cursor:
        found = {row[0]: row for row in cursor.execute(_ASK, [command])}
    return [
        Answer(node, found[node.id][1], found[node.id][2] or "")
        if node.id in found
        else Answer(node, succeeded=False, result="it is not active: SELECT citus_activate_node(...) makes it so")
        for node in nodes(connection)
    ]
