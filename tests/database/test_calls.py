"""The calls of stored functions from Python: each is written once, names its arguments, and fits the database."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tallymark.functions import InvalidUpdate, create_job, http, timeline
from tallymark.functions.call import REGISTRY, Call

Connection = psycopg.Connection[Any]

_PACKAGE = Path(__file__).parents[2] / "pyapp" / "tallymark"
#: `schema` installs and inspects the functions, so it names some of them; `server` and `cli` may show SQL to people.
_NAMES_FUNCTIONS = {"functions", "schema"}


def test_every_call_names_a_function_that_is_there_and_its_arguments(db: Connection) -> None:
    """A misspelt name, or an argument that a function no longer has, is found here."""
    missing = [
        str(call)
        for call in REGISTRY
        if db.execute(
            "SELECT FROM pg_proc WHERE pronamespace = 'tallymark'::regnamespace AND proname = %s"
            " AND %s::text[] <@ coalesce(proargnames, '{}')",
            [call.function, list(call.arguments)],
        ).fetchone()
        is None
    ]
    assert missing == []
    assert len(REGISTRY) > 80


def test_every_statement_of_the_endpoint_can_be_prepared(db: Connection) -> None:
    """PostgreSQL finds a type for each parameter and each column."""
    statements = _statements()
    assert len(statements) > 30
    for statement in statements:
        db.pgconn.prepare(statement.name, statement.sql)
        assert db.pgconn.error_message == b"", statement.name
    assert len({statement.name for statement in statements}) == len(statements)


def _statements() -> list[http.Statement]:
    alone = [found for found in vars(http).values() if isinstance(found, http.Statement)]
    return [*alone, *http.RECEIVE_GROUP.values(), *http.RECEIVE_FOR_JOB.values()]


def test_what_the_endpoint_calls_is_what_readiness_asks_for() -> None:
    """Every function that a statement names is in one of the two lists that /readyz checks."""
    named = {name for found in _statements() for name in re.findall(r"tallymark\.(\w+)\(", found.sql.decode())}
    assert named == {call.function for call in [*http.WRITING, *http.READING]}


def test_no_other_module_calls_a_stored_function() -> None:
    """So a changed function is changed in one place in Python."""
    calls = [
        f"{path.relative_to(_PACKAGE)}: {text}"
        for path in sorted(_PACKAGE.rglob("*.py"))
        if path.relative_to(_PACKAGE).parts[0] not in _NAMES_FUNCTIONS
        for text in _strings(path)
        if re.search(r"tallymark\.\w+\((?!\))", text)
    ]
    assert calls == []


def _strings(path: Path) -> Iterator[str]:
    """Yield the texts of a module that are not docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in docs and isinstance(node.value, (str, bytes)):
            yield node.value if isinstance(node.value, str) else node.value.decode(errors="replace")


def test_a_call_is_written_in_named_notation(monkeypatch: pytest.MonkeyPatch) -> None:
    """So an argument added in the middle of a function's list moves no other."""
    monkeypatch.setattr("tallymark.functions.call.REGISTRY", [])
    assert str(Call("a", "x", "y")) == "tallymark.a(x => $1, y => $2)"
    assert str(Call("a", y="$2", x="now()")) == "tallymark.a(y => $2, x => now())"
    assert str(Call("a")) == "tallymark.a()"


def test_a_number_of_any_size_is_read_as_the_arguments_own_type(db: Connection) -> None:
    """A number that is too large is named as such, and does not select another function."""
    create_job(db, "j")
    assert timeline(db, "j", max_events=2**31 - 1) == []
    with pytest.raises(InvalidUpdate, match="Invalid request body") as caught:
        timeline(db, "j", max_events=2**31)
    assert caught.value.sqlstate == "22003"
    with pytest.raises(InvalidUpdate, match="Invalid request body") as endless:
        timeline(db, "j", max_events=10**5000)
    assert endless.value.sqlstate == "22003"
    assert timeline(db, "j") == []
