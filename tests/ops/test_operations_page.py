"""The numbers in docs/operations.md are those of the product."""

import re
from pathlib import Path

from tallymark.schema.files import sql_root
from tallymark.server.granian import granian_command
from tallymark.settings import Settings

_PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")


def test_another_server_is_given_as_many_threads_as_ours() -> None:
    """With the default settings."""
    command = granian_command(Settings(), "127.0.0.1", 8000)
    threads = command[command.index("--blocking-threads") + 1]
    assert re.findall(r"--threads (\d+)", _PAGE) == [threads]


def test_the_page_tells_how_many_migrations_there_are() -> None:
    """A new migration changes the number."""
    steps = [file for file in (sql_root() / "migrations").glob("[0-9]*.sql") if not file.name.endswith(".rollback.sql")]
    assert re.findall(r"(\d+) migrations applied", _PAGE) == [str(len(steps))]
