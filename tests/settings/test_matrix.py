"""Every command and the endpoint do the same whatever a server, a database, a role or the environment is set to.

Each test makes settings, does everything there is to do, and compares every answer with that of a run without settings.
Then it takes the settings back, and looks once more. What may differ, and why, is in `cells.py`.
"""

import difflib
import os
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import pytest
from tests.settings import conftest as place
from tests.settings.cells import ENVIRONMENTS, SESSION, Cell, Environment
from tests.settings.round import COVERED

from tallymark.cli import COMMANDS

if TYPE_CHECKING:
    from tests.settings.conftest import Matrix

#: Commands that are not in a round, and why.
_ELSEWHERE = {
    "up": "runs what `serve` and `migrate` do; tests/server starts it with such an environment",
    "serve": "the rounds have its application in their own process",
    "simulate": "a client of HTTP that opens no database",
    "settings": "opens no database",
    "run": "a client of HTTP that opens no database",
    "count": "a client of HTTP that opens no database",
    "distribute": "needs a cluster; tests/citus runs it on one that is given",
    "import-original": "reads the database of another system, which a round does not have",
}
#: Where settings are made.
_LEVELS: Mapping[str, Callable[["Matrix", str, Mapping[str, str]], Callable[[], None]]] = {
    "role": place.set_for_role,
    "database": place.set_for_database,
    "role in database": place.set_for_role_in_database,
    "server": place.set_for_server,
}
#: What is tried at every commit; `make test-deep` tries all.
_USUAL = {
    "role": ("dates are German", "Latin-1", "backslashes escape", "hostile search path"),
    "database": ("serializable", "commits that are not safe", "read only"),
    "server": ("transactions end soon",),
    "environment": ("PGOPTIONS", "a service in PGSERVICE"),
}


def differences(found: Mapping[str, str], expected: Mapping[str, str], differs: Mapping[str, str]) -> list[str]:
    """Name the steps that answered something else, with what. The first entry of `differs` that fits says what may."""
    wrong = []
    for name in {**expected, **found}:
        was, now = expected.get(name, ""), found.get(name, "")
        allowed = next((pattern for step, pattern in differs.items() if re.fullmatch(step, name, re.DOTALL)), None)
        if allowed is not None and not re.search(allowed, now):
            wrong.append(f"{name} does not say {allowed}:\n{now}")
        elif allowed is None and was != now:
            lines = difflib.unified_diff(was.splitlines(), now.splitlines(), "plain", "found", n=0, lineterm="")
            wrong.append("\n".join([name, *(line[:1500] for line in lines)]))
    return wrong


def try_cell(matrix: "Matrix", cell: Cell, level: str) -> None:
    """Make the settings of a cell, make a round, take them back, and look once more."""
    if cell.since > matrix.version:
        pytest.skip(f"PostgreSQL {matrix.version} has no {', '.join(cell.settings)}")
    expected = matrix.expected()
    with matrix.database() as database:
        if cell.prepare:
            with matrix.connect(database) as connection:
                connection.execute(cell.prepare.encode())
        undo = _LEVELS[level](matrix, database, cell.settings)
        try:
            found = matrix.round(database)
        finally:
            undo()
        wrong = differences(found, expected[0], cell.differs)
        if not cell.spoils:
            wrong += differences(matrix.afterwards(database), expected[1], {})
    assert not wrong, "\n\n".join(wrong)


def try_environment(matrix: "Matrix", environment: Environment) -> None:
    """Make a round in an environment, and look once more without it."""
    expected = matrix.expected(apart=environment.apart)
    with matrix.database() as database:
        found = matrix.round_in(database, environment)
        wrong = differences(found, expected[0], environment.differs)
        wrong += differences(matrix.afterwards(database), expected[1], {})
    assert not wrong, "\n\n".join(wrong)


_CELLS = [(level, cell) for level in _LEVELS for cell in SESSION if level in cell.levels]
#: PostgreSQL 15, the oldest that is supported, or another one; `make` passes its POSTGRES_BIN on.
_OTHER = os.environ.get("POSTGRES_BIN", "/usr/lib/postgresql/15/bin")


@pytest.mark.deep
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("level", "cell"), _CELLS, ids=[f"{level}: {cell.name}" for level, cell in _CELLS])
def test_no_setting_changes_an_answer(matrix: "Matrix", level: str, cell: Cell) -> None:
    """All settings, in all places where they can be made."""
    try_cell(matrix, cell, level)


@pytest.mark.deep
@pytest.mark.timeout(600)
@pytest.mark.parametrize("matrix", [_OTHER], indirect=True)
@pytest.mark.parametrize("cell", SESSION, ids=lambda cell: cell.name)
def test_no_setting_of_a_role_changes_an_answer_of_another_version(matrix: "Matrix", cell: Cell) -> None:
    """The same on Debian's PostgreSQL."""
    try_cell(matrix, cell, "role")


@pytest.mark.deep
@pytest.mark.timeout(600)
@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda environment: environment.name)
def test_no_environment_changes_an_answer(matrix: "Matrix", environment: Environment) -> None:
    """All variables that libpq reads, those of locales and time zones, and URLs that leave something to them."""
    try_environment(matrix, environment)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_usual_settings_change_no_answer(matrix: "Matrix", subtests: pytest.Subtests) -> None:
    """One of each kind; they share a server."""
    for level, names in _USUAL.items():
        for name in names:
            with subtests.test(f"{level}: {name}"):
                if level == "environment":
                    try_environment(matrix, next(item for item in ENVIRONMENTS if item.name == name))
                else:
                    try_cell(matrix, next(item for item in SESSION if item.name == name), level)


@pytest.mark.deep
@pytest.mark.timeout(600)
@pytest.mark.parametrize("apart", [False, True])
def test_two_rounds_without_settings_answer_the_same(matrix: "Matrix", apart: bool) -> None:
    """What differs from run to run is left out of the comparison, so that a difference is that of a setting."""
    expected = matrix.expected(apart=apart)
    with matrix.database() as database:
        wrong = differences(matrix.round(database, apart=apart), expected[0], {})
        wrong += differences(matrix.afterwards(database), expected[1], {})
    assert not wrong, "\n\n".join(wrong)


def test_every_command_is_in_the_matrix() -> None:
    """A new command gets its place in a round, or its reason here."""
    assert set(COMMANDS) <= COVERED | set(_ELSEWHERE)
    assert not COVERED & set(_ELSEWHERE)
