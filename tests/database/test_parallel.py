"""What a query may run in a parallel worker works there.

PostgreSQL believes what a function is declared as. A worker may start no subtransaction, so a block that catches errors
fails there (25000), as does what writes; and a function is no safer than those that it calls.
"""

import re
from typing import Any, NamedTuple

import psycopg
import pytest

Connection = psycopg.Connection[Any]

_FUNCTIONS = """
SELECT p.proname, p.proparallel::text, pg_get_functiondef(p.oid) FROM pg_proc AS p
WHERE p.pronamespace = 'tallymark'::regnamespace ORDER BY p.oid
"""
#: Built-in functions that no worker may run, unless another one of the same name may be meant.
_UNSAFE_BUILTINS = """
SELECT proname FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f'
GROUP BY proname HAVING bool_and(proparallel <> 's')
"""
#: What makes a body unsafe by itself.
_UNSAFE = re.compile(
    r"\bEXCEPTION\s+WHEN\b|\b(INSERT\s+INTO|DELETE\s+FROM|LOCK\s+TABLE|UPDATE\s+tallymark\.|SET\s+LOCAL)\b"
    r"|\bFOR\s+(NO\s+KEY\s+)?(UPDATE|SHARE)\b",
    re.IGNORECASE,
)


class Function(NamedTuple):
    """A stored function: whether it is declared as safe, and its text without comments."""

    is_safe: bool
    text: str


def functions(db: Connection) -> dict[str, Function]:
    """Read all stored functions, by name."""
    return {
        name: Function(parallel == "s", re.sub(r"--[^\n]*", "", text))
        for name, parallel, text in db.execute(_FUNCTIONS).fetchall()
    }


def test_what_is_declared_safe_calls_nothing_that_is_not(db: Connection) -> None:
    """Neither a function of ours nor one of PostgreSQL's; and it neither catches errors nor writes."""
    ours = functions(db)
    builtins = {name for (name,) in db.execute(_UNSAFE_BUILTINS)}
    assert "set_config" in builtins
    assert sum(function.is_safe for function in ours.values()) > 40
    wrong = []
    for name, function in ours.items():
        if not function.is_safe:
            continue
        body = function.text.partition("AS $")[2] or function.text.partition("RETURN")[2]
        wrong += [f"{name} calls {called}" for called in called_in(body) if called in ours and not ours[called].is_safe]
        wrong += [f"{name} calls {called}" for called in re.findall(r"\b(\w+)\s*\(", body) if called in builtins]
        wrong += [f"{name} has {found[0]}" for found in _UNSAFE.finditer(body)]
    assert wrong == []


def called_in(body: str) -> set[str]:
    """Name the functions of ours that a body calls."""
    return set(re.findall(r"\btallymark\.(\w+)\s*\(", body))


@pytest.fixture
def forced(db: Connection) -> Connection:
    """A connection that runs each query in a parallel worker, if the query may run there."""
    name = "debug_parallel_query" if db.info.server_version >= 160000 else "force_parallel_mode"
    db.execute(f"SET {name} = on".encode())
    db.execute("SET max_parallel_workers_per_gather = 2")
    return db


def plan(db: Connection, query: str) -> str:
    """Run a query, and return how it was run."""
    return "\n".join(line for (line,) in db.execute(f"EXPLAIN (ANALYZE, COSTS OFF) {query}".encode()))


def outcome(db: Connection, query: str) -> str:
    """Run a query; return its SQLSTATE, or nothing if it succeeded."""
    try:
        db.execute(query.encode())
    except psycopg.Error as error:
        return error.sqlstate or "?"
    return ""


#: One row, which the planner does not know beforehand.
_ROW = "FROM generate_series(1, 1) AS g (n)"


def text_of(value: str) -> str:
    """Write a text as an expression that the planner does not know beforehand either."""
    return f"CASE g.n WHEN 1 THEN '{value}' END"


def test_a_safe_function_runs_in_a_worker(forced: Connection) -> None:
    """So the other tests here prove something."""
    assert "Workers Launched: 1" in plan(forced, f"SELECT tallymark.job_status({text_of('processing')}) {_ROW}")


@pytest.mark.parametrize(
    "call",
    [
        "tallymark.parse_timestamp({})",
        "tallymark.update_problems('j', jsonb_build_object('status', 'processing', 'timestamp', {}))",
        "tallymark.timeline_problems(jsonb_build_array(jsonb_build_object('timestamp', {}, 'event', 'x')))",
        "tallymark.prepare_update('j', jsonb_build_object('status', 'processing', 'timestamp', {}))",
    ],
)
def test_a_time_that_does_not_exist_is_no_error_of_a_worker(forced: Connection, call: str) -> None:
    """30 February is found in a block that catches errors, and what calls it stays out of workers."""
    assert outcome(forced, f"SELECT {call.format(text_of('2025-02-30T10:00:00Z'))} {_ROW}") in {"", "TK400"}


@pytest.mark.parametrize("call", ["cursor_id({})", "list_jobs(cursor => {})", "newest_jobs(cursor => {})"])
def test_a_cursor_that_is_none_is_refused_and_no_error_of_a_worker(forced: Connection, call: str) -> None:
    """The refusal is the same as without workers."""
    assert outcome(forced, f"SELECT tallymark.{call.format(text_of('zz'))} {_ROW}") == "TK400"


def test_every_safe_function_can_be_run_in_a_worker(forced: Connection) -> None:
    """With null for each argument; a refusal is no failure of the worker."""
    calls = forced.execute(
        """SELECT p.proname, format('SELECT %s(%s)', p.oid::regproc,
             (SELECT string_agg(format('CASE WHEN g.n = 2 THEN NULL::%s END', format_type(t, NULL)), ', ' ORDER BY k)
              FROM unnest(p.proargtypes) WITH ORDINALITY AS a (t, k)))
           FROM pg_proc AS p WHERE p.pronamespace = 'tallymark'::regnamespace AND p.proparallel = 's'"""
    ).fetchall()
    assert len(calls) > 40
    outcomes = {name: outcome(forced, f"{call} {_ROW}") for name, call in calls}
    assert {name: state for name, state in outcomes.items() if state.startswith("25")} == {}
    in_workers = [name for name, call in calls if not outcomes[name] and "Gather" in plan(forced, f"{call} {_ROW}")]
    assert len(in_workers) > 30
