"""Who may call what, on every node, at every step of a cluster's life: nobody gets in."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
import pytest

from tallymark.schema.cluster import READ_BY_VIEWS, READERS, ROLES
from tallymark.schema.distribute import check_only, distribute
from tallymark.schema.migrate import migrate

from .cluster import Database, database, on

pytestmark = [pytest.mark.citus, pytest.mark.slow, pytest.mark.timeout(600)]

CLOSE = "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC"

#: All functions, with a call that has a value for each argument, since a call of a STRICT function with NULL is none.
_FUNCTIONS = """
SELECT p.oid::regprocedure::text, p.provolatile = 'v', format('tallymark.%I(%s)', p.proname, (
  SELECT string_agg(CASE t.typtype WHEN 'c' THEN format('NULL::%s', a.kind)
    ELSE format('%L::%s', CASE
      WHEN t.typcategory = 'A' THEN '{}' WHEN t.typname IN ('json', 'jsonb') THEN '{}' WHEN t.typcategory = 'N' THEN '0'
      WHEN t.typcategory = 'B' THEN 'f' WHEN t.typcategory = 'D' THEN '2025-01-06' WHEN t.typcategory = 'T' THEN '1 day'
      WHEN t.typname = 'bytea' THEN '' ELSE 'no such job' END, a.kind) END, ', ' ORDER BY a.number)
  FROM unnest(p.proargtypes::regtype[]) WITH ORDINALITY AS a (kind, number) JOIN pg_type AS t ON t.oid = a.kind))
FROM pg_proc AS p WHERE p.pronamespace = to_regnamespace('tallymark') ORDER BY 1
"""
_MAY_CALL = """
SELECT p.oid::regprocedure::text FROM pg_proc AS p
WHERE p.pronamespace = to_regnamespace('tallymark') AND has_function_privilege(%s, p.oid, 'EXECUTE')
"""
#: Tables, shards and views that a role may read or change in some way.
_MAY_TOUCH = """
SELECT c.oid::regclass::text, string_agg(r.name, ' ' ORDER BY r.name) FROM pg_class AS c
  CROSS JOIN unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) AS r (name)
WHERE c.relnamespace = to_regnamespace('tallymark') AND c.relkind IN ('r', 'v') AND (
  has_table_privilege(%s, c.oid, r.name) OR CASE WHEN r.name IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES')
    THEN has_any_column_privilege(%s, c.oid, r.name) END)
GROUP BY c.oid
"""


@dataclass
class Rights:
    """What each role may, on one node."""

    calls: dict[str, set[str]] = field(default_factory=dict)
    touches: dict[str, dict[str, str]] = field(default_factory=dict)


@pytest.fixture
def stranger() -> Iterator[str]:
    """A user of all servers that no role was granted to."""
    name = f"tallymark_test_{secrets.token_hex(6)}"
    with database() as made:
        for url in made.everywhere:
            on(url, f"CREATE ROLE {name} LOGIN")
        try:
            yield name
        finally:
            for url in made.everywhere:
                on(url, f"DROP ROLE {name}")


def rights_on(url: str, roles: tuple[str, ...]) -> Rights:
    """Ask one node what each role may."""
    with psycopg.connect(url, autocommit=True) as connection:
        # Shards are hidden from those who do not say that they want to see them.
        connection.execute("SET citus.override_table_visibility = off")
        return Rights(
            {role: {name for (name,) in connection.execute(_MAY_CALL, [role])} for role in roles},
            {role: dict(connection.execute(_MAY_TOUCH, [role, role]).fetchall()) for role in roles},
        )


def refused(url: str, roles: tuple[str, ...], allowed: dict[str, set[str]]) -> dict[str, tuple[int, int]]:
    """Call each function that writes, and that a role may not call, as that role; return how many, and how many did.

    A call that is refused for another reason than rights was one that got in.
    """
    found = {}
    with psycopg.connect(url, autocommit=True) as connection:
        functions = connection.execute(_FUNCTIONS.encode()).fetchall()
        for role in roles:
            connection.execute(f"SET SESSION AUTHORIZATION {role}")
            tried = got_in = 0
            for signature, writes, call in functions:
                if not writes or signature in allowed[role]:
                    continue
                tried += 1
                try:
                    connection.execute(f"SELECT {call}")
                    got_in += 1
                except psycopg.errors.InsufficientPrivilege:
                    pass
                except psycopg.Error:
                    got_in += 1
            connection.execute("RESET SESSION AUTHORIZATION")
            found[role] = (tried, got_in)
    return found


class Table:
    """The counts of all steps, which the run prints at its end."""

    def __init__(self, roles: tuple[str, ...], expected: Rights) -> None:
        """Compare with what one server gives."""
        self.roles = roles
        self.expected = expected
        self.rows = [
            "how many functions each may call, and how many calls of others that write were refused",
            "step / node: owner; writer; reader; admin; a user without these roles",
        ]

    def add(self, step: str, made: Database) -> dict[str, set[str]]:
        """Ask every node that has the schema; return what some role may call too much on each."""
        surplus = {}
        for number, url in enumerate(made.everywhere):
            rights = rights_on(url, self.roles)
            tried = refused(url, self.roles[1:], self.expected.calls)
            cells = [
                f"{len(rights.calls[role])}"
                + (f", {tried[role][0] - tried[role][1]} of {tried[role][0]}" if number_ else "")
                for number_, role in enumerate(self.roles)
            ]
            self.rows.append(f"{step} / {number}: " + "; ".join(cells))
            found = {
                f"{role}: {name}" for role in self.roles[1:] for name in rights.calls[role] - self.expected.calls[role]
            } | {f"{role} got in" for role, (_, got_in) in tried.items() if got_in}
            for role, tables in rights.touches.items():
                if role != self.roles[0]:
                    found |= {
                        f"{role}: {what} on {table}"
                        for table, what in tables.items()
                        if not _is_right(role, table, what)
                    }
            surplus[url] = found
        return surplus

    def lacking(self, made: Database) -> dict[str, set[str]]:
        """Return what some role may not call, on each node, and should."""
        return {
            url: {
                f"{role}: {name}"
                for role in self.roles
                for name in self.expected.calls[role] - rights_on(url, self.roles).calls[role]
            }
            for url in made.everywhere
        }


def _is_right(role: str, table: str, what: str) -> bool:
    """Readers may select from the views, and from the tables behind them, also from their shards."""
    of = table.rstrip("0123456789").removesuffix("_") if table[-1].isdigit() else table
    views = {"tallymark.jobs", "tallymark.events", "tallymark.current_alerts"}
    return what == "SELECT" and role in READERS and of in {*views, *READ_BY_VIEWS}


@contextmanager
def cluster() -> Iterator[Database]:
    """A database of which the coordinator knows one worker."""
    with database(known=1) as made:
        yield made


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "open"])
def test_nobody_may_call_more_on_any_node_at_any_step(
    stranger: str, record_property: Callable[[str, object], None], *, closed: bool
) -> None:
    """Before and after the tables are distributed, before and after a node is added, and after it is told to.

    A node that was closed before it was added lets nobody in at any time. One that was not has all functions for
    everybody until `distribute` runs again, as the document says first; the check finds each.
    """
    roles = (*ROLES, stranger)
    with cluster() as made:
        migrate(made.url)
        expected = rights_on(made.url, roles)
        assert expected.calls[stranger] == set()
        assert [len(expected.calls[role]) > 10 for role in ROLES] == [True] * len(ROLES)
        assert (
            expected.calls["tallymark_reader"] & {name for name, writes, _ in on(made.url, _FUNCTIONS) if writes}
            == set()
        ), "a reader may call nothing that writes"
        table = Table(roles, expected)
        assert not any(table.add("before", made).values())

        distribute(made.url, shards=8)
        assert not any(table.add("distributed", made).values())
        assert not any(table.lacking(Database(made.url, made.workers[:1])).values())

        if closed:
            on(made.workers[1], CLOSE)
        made.add_worker(1)
        surplus = table.add("added", made)
        open_nodes = {url for url, found in surplus.items() if found}
        assert open_nodes == (set() if closed else {made.workers[1]})
        found = [finding for finding in check_only(made.url) if finding.problem.startswith("is for everybody on node")]
        assert (len({finding.object for finding in found}) > 100) is not closed

        distribute(made.url)
        assert not any(table.add("distributed again", made).values())
        assert not any(table.lacking(Database(made.url, made.workers[:2])).values())  # a third is not in it
        assert [finding for finding in check_only(made.url) if finding.kind != "setting"] == []
    record_property("figure", "\n  ".join(["", *table.rows]))
