"""The functions use only what a distributed database can run, where a job's rows are on one of several machines.

Each rule stands for something that Citus refuses, or answers wrongly. They are read from the catalogue, so that no
later change breaks one unseen. `sql/tests/inventory/the_schema_stays_distributable.sql` has those about tables.
"""

import re
from typing import Any, NamedTuple

import psycopg
import pytest

Connection = psycopg.Connection[Any]

#: A function that has this asks whether jobs may be on several machines, and has another way for that.
ASKS = "pg_dist_partition"
_TABLE = r"tallymark\.(?P<table>{tables}) AS (?P<alias>\w+)"

#: What a statement begins with, or the declaration of a variable.
_WORDS = (
    *("SELECT", "PERFORM", "INSERT", "UPDATE", "DELETE", "WITH", "RETURN", "IF", "ELSIF", "FOR", "FOREACH", "WHILE"),
    *("END", "EXIT", "CONTINUE", "RAISE", "GET", "EXECUTE", "NULL"),
)
_BEGINS = re.compile(r"\s*(?:$|\w+ (?:CONSTANT )?[\w.]+(?:\[\])?(?: :=|$)|[\w.\"]+ :=|(?:" + "|".join(_WORDS) + r")\b)")
#: A query that finds rows by the job alone, which needs no parameter to be planned.
_BY_JOB = re.compile(
    r"(?:PERFORM|SELECT) [^()]*FROM tallymark\.\w+ AS \w+ WHERE \w+\.(?:id|job_id) = \w+(?: FOR NO KEY UPDATE)?"
)

#: Calls of functions that read tables, in statements that read tables, which are no calls for each row of a query.
ONCE_A_STATEMENT = {
    "prune_job": "INSERT ... SELECT from the function alone, which runs where prune_job runs",
    "operating_figures": "figures from several queries, in one expression without a FROM",
}


class Function(NamedTuple):
    """A function of ours, without comments and the contents of literals."""

    name: str
    source: str
    settings: tuple[str, ...]
    statements: tuple[str, ...]
    asks: bool


@pytest.fixture
def tables(db: Connection) -> str:
    """The names of the tables, as alternatives of a regular expression."""
    rows = db.execute("SELECT relname FROM pg_class WHERE relnamespace = 'tallymark'::regnamespace AND relkind = 'r'")
    return "|".join(name for (name,) in rows)


@pytest.fixture
def functions(db: Connection) -> list[Function]:
    """All functions in PL/pgSQL."""
    rows = db.execute(
        """SELECT p.proname, p.prosrc, coalesce(p.proconfig, '{}')
           FROM pg_proc AS p JOIN pg_language AS l ON l.oid = p.prolang
           WHERE p.pronamespace = 'tallymark'::regnamespace AND l.lanname = 'plpgsql'"""
    ).fetchall()
    assert len(rows) > 150
    return [_function(*row) for row in rows]


def _function(name: str, source: str, settings: list[str]) -> Function:
    bare = re.sub(
        r"\s+", " ", re.sub(r"--[^\n]*|'(?:[^']|'')*'", lambda found: "''" if found[0][0] == "'" else " ", source)
    )
    parts = re.split(r";|\b(?:DECLARE|BEGIN|THEN|ELSE|LOOP)\b(?! WHEN)", bare)
    # CASE has THEN and ELSE too, so what follows them belongs to the statement before, unless it begins one.
    statements: list[str] = []
    for part in parts:
        if statements and not _BEGINS.match(part):
            statements[-1] += " THEN " + part.strip()
        else:
            statements.append(part.strip())
    return Function(name, bare, tuple(settings), tuple(statements), ASKS in source)


def _reading(functions: list[Function], tables: str) -> set[str]:
    """Return the functions that read or write tables, themselves or by others that they call."""
    calls = {each.name: set(re.findall(r"tallymark\.(\w+) ?\(", each.source)) for each in functions}
    found = {
        each.name
        for each in functions
        if re.search(rf"(?:FROM|JOIN|INTO|UPDATE) {_TABLE.format(tables=tables)}", each.source)
    }
    while more := {name for name in calls if calls[name] & found} - found:
        found |= more
    return found


def _found(functions: list[Function], pattern: str) -> set[str]:
    return {each.name for each in functions if any(re.search(pattern, statement) for statement in each.statements)}


def test_no_row_of_a_table_is_assigned_by_an_expression(functions: list[Function], tables: str) -> None:
    """The target of an assignment counts as a parameter, and a row is of no type that another machine knows."""
    wrong = set()
    for each in functions:
        rows = re.findall(r"\b(\w+) (?:CONSTANT )?tallymark\.\w+(?:\[\])?(?= :=|;| )", each.source)
        for statement in each.statements:
            target = re.match(r"(\w+)(?: (?:CONSTANT )?tallymark\.[\w\[\]]+)? :=", statement)
            if (
                target
                and target[1] in rows
                and re.search(rf"FROM {_TABLE.format(tables=tables)}", statement)
                and not each.asks
            ):
                wrong.add(each.name)
    assert wrong == set(), "write SELECT ... INTO"


def test_no_query_hands_over_a_whole_row(functions: list[Function], tables: str) -> None:
    """On the machine that has the row its type is that of a shard, for which there is no such function."""
    wrong = set()
    for each in functions:
        for statement in each.statements:
            for found in re.finditer(_TABLE.format(tables=tables), statement):
                alias = found["alias"]
                handed = rf"tallymark\.\w+\((?:[^()]*, )?{alias} ?[,)]"
                selected = rf"SELECT {alias} (?:AS \w+ )?FROM tallymark\.{found['table']} AS {alias}\b"
                if re.search(f"{handed}|{selected}", statement) and not each.asks:
                    wrong.add(each.name)
    assert wrong == set(), "SELECT the row INTO a variable first"


def test_no_query_of_a_table_calls_a_function_that_reads_tables(functions: list[Function], tables: str) -> None:
    """It would run on the machine that has the row, and a query of a shard can send no query to others."""
    reading = _reading(functions, tables)
    wrong = set()
    for each in functions:
        for statement in each.statements:
            called = set(re.findall(r"tallymark\.(\w+) ?\(", statement)) & reading
            if called and re.search(
                rf"(?:FROM|JOIN) {_TABLE.format(tables=tables)}|(?:UPDATE|INTO) tallymark\.", statement
            ):
                wrong.add(each.name)
    assert wrong - set(ONCE_A_STATEMENT) == set(), "read the rows first, and call the function in a loop"


def test_what_writes_calls_only_what_is_immutable(db: Connection, functions: list[Function]) -> None:
    """In UPDATE, ON CONFLICT and RETURNING, where each copy of a shard might compute another value."""
    rows = db.execute(
        """SELECT DISTINCT proname FROM pg_proc WHERE provolatile <> 'i'
             AND pronamespace IN ('pg_catalog'::regnamespace, 'tallymark'::regnamespace)"""
    ).fetchall()
    varying = {name for (name,) in rows} | {"interval"}
    wrong = set()
    for each in functions:
        for statement in each.statements:
            writes = re.search(r"\b(?:UPDATE tallymark\.|DELETE FROM tallymark\.|ON CONFLICT|RETURNING).*", statement)
            if writes and set(re.findall(r"\b(\w+)(?: ?\(| '')", writes[0])) & varying:
                wrong.add(each.name)
    assert wrong == set(), "compute it into a variable first"


def test_no_query_of_a_table_asks_for_the_time(functions: list[Function], tables: str) -> None:
    """It would be that of the machine that has the rows, whose clock may differ."""
    clocks = r"\b(?:now|(?:statement|clock|transaction)_timestamp) ?\(|\bCURRENT_TIME"
    wrong = set()
    for each in functions:
        for statement in each.statements:
            reads = re.search(rf"(?:FROM|JOIN|INTO|UPDATE) {_TABLE.format(tables=tables)}", statement)
            if reads and re.search(clocks, statement):
                wrong.add(each.name)
    assert wrong == set(), "take the time into a variable first"


def test_rows_are_locked_one_job_at_a_time(functions: list[Function]) -> None:
    """A lock on the rows of several machines is refused."""
    locks = [each for each in functions if not each.asks]
    assert _found(locks, r"= ANY .*FOR (?:NO KEY )?UPDATE") == set(), "lock in a loop, in the order of the ids"


def test_every_query_of_a_table_has_a_column(functions: list[Function]) -> None:
    """Without one, its results cannot be gathered."""
    assert _found(functions, r"(?:SELECT|PERFORM) FROM tallymark\.") == set(), "SELECT 1"


def test_generic_plans_are_forced_only_where_rows_are_found_by_the_job(functions: list[Function], tables: str) -> None:
    """Others are planned with their parameters, because these say where the rows are."""
    wrong = set()
    for each in functions:
        if "plan_cache_mode=force_generic_plan" in each.settings and not each.asks:
            for statement in each.statements:
                table = re.search(rf"(?:FROM|JOIN|INTO|UPDATE) {_TABLE.format(tables=tables)}", statement)
                if table and not _BY_JOB.fullmatch(statement):
                    wrong.add(each.name)
    assert wrong == set()


def test_a_node_may_have_each_query_of_a_job_planned_by_itself(functions: list[Function], tables: str) -> None:
    """Some releases of Citus keep a plan for each query until there is no memory left: see schema/kept_plans.py."""
    queries = rf"(?:FROM|UPDATE) {_TABLE.format(tables=tables)}(?: SET .*)? WHERE \w+\.(?:id|job_id) = \w+\b(?! ?\()"
    generic = [each for each in functions if "plan_cache_mode=force_generic_plan" in each.settings]
    found = _found(generic, queries)
    assert "lock_free_jobs" in found
    asking = {each.name for each in generic if each.asks and "SET LOCAL plan_cache_mode TO DEFAULT" in each.source}
    assert found - asking == set(), "where jobs are distributed, SET LOCAL plan_cache_mode TO DEFAULT"


def test_no_recursive_query_reads_tables(functions: list[Function], tables: str) -> None:
    """Nor does one with LATERAL and LIMIT on a list: both are refused."""
    assert _found(functions, rf"WITH RECURSIVE .*FROM {_TABLE.format(tables=tables)}") == set()
    lateral = rf"LATERAL \( ?SELECT (?:(?!\) AS).)*FROM {_TABLE.format(tables=tables)}(?:(?!\) AS).)* ORDER BY"
    assert _found(functions, lateral) == set()


def test_inserted_rows_are_counted_by_what_is_returned(functions: list[Function]) -> None:
    """After INSERT ... SELECT with ON CONFLICT, ROW_COUNT and FOUND are those of the SELECT there."""
    wrong = set()
    for each in functions:
        for number, statement in enumerate(each.statements[:-1]):
            if re.match(r"INSERT INTO tallymark\.\w+[^()]*\([^()]*\) SELECT .*ON CONFLICT", statement) and re.search(
                r"ROW_COUNT|\bFOUND\b", each.statements[number + 1]
            ):
                wrong.add(each.name)
    assert wrong == set(), "count in WITH ... AS (INSERT ... RETURNING ...)"


def test_no_error_is_caught_while_rows_are_sent(functions: list[Function]) -> None:
    """A function that catches errors begins a subtransaction, on a connection that is busy with the rows."""
    catching = {each.name for each in functions if re.search(r"\bEXCEPTION WHEN\b", each.source)}
    assert "parse_timestamp" in catching
    wrong = set()
    for each in functions:
        for statement in each.statements:
            inserts = re.search(r"INSERT INTO tallymark\.\w+[^()]*\([^()]*\) SELECT ", statement)
            if inserts and set(re.findall(r"tallymark\.(\w+) ?\(", statement)) & catching:
                wrong.add(each.name)
    assert wrong == set(), "compute it into a variable first"
