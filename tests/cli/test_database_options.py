"""Which database a command uses: the one named, that of DATABASE_URL, or that of a running `tallymark up`."""

import os
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result

from tallymark.cli import cli
from tallymark.server import EmbeddedPostgres


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Only what a test sets is set; by default the data is in its own directory."""
    for name in [name for name in os.environ if name.startswith(("DATABASE_", "CRAWLER_", "TALLYMARK_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TALLYMARK_DATA_DIR", str(tmp_path / "data"))


def run(*arguments: str) -> Result:
    """Run `tallymark` as a script would, without a terminal."""
    return CliRunner().invoke(cli, arguments)


def test_without_a_url_the_running_server_is_taken(tmp_path: Path) -> None:
    """All commands find the server that `tallymark up` runs, in its default place and where --data points."""
    with EmbeddedPostgres(tmp_path / "data") as server:
        assert run("url").output == f"{server.url}\n"
        assert run("url", "--data", str(tmp_path / "data")).output == f"{server.url}\n"
        for arguments, last in (
            (["migrate"], "migrations applied"),
            (["doctor"], "The database is what the files say."),
            (["verify"], "0 jobs checked, 0 differ"),
            (["rollback", "--yes"], "1 migration taken back"),
        ):
            result = run(*arguments)
            assert result.exit_code == 0, result.output
            assert result.output.splitlines()[-1].endswith(last)


@pytest.mark.parametrize("command", ["migrate", "doctor", "verify", "rollback", "url"])
def test_where_no_server_runs_that_is_said(tmp_path: Path, command: str) -> None:
    """Exit code 2, and the directory."""
    result = run(command)
    assert result.exit_code == 2
    assert result.output == (
        f"Error: DATABASE_URL is not set, and no `tallymark up` runs on {tmp_path / 'data'};"
        " set DATABASE_URL, or start `tallymark up`\n"
    )


def test_a_server_that_has_ended_is_not_taken(tmp_path: Path) -> None:
    """Its port and password are still in the file, and another program may use that port."""
    with EmbeddedPostgres(tmp_path / "data") as server:
        assert server.process is not None
    assert (tmp_path / "data" / "port").exists()
    assert run("url").exit_code == 2


def test_what_the_command_line_says_goes_before_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command never uses the database of DATABASE_URL if another one was named."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://u@h/x")
    assert run("url").output == "postgresql://u@h/x\n"
    result = run("rollback", "--yes", "--data", str(tmp_path / "other"))
    assert (result.exit_code, result.output) == (
        2,
        f"Error: no `tallymark up` runs on {tmp_path / 'other'}; start it\n",
    )
    result = run("verify", "--database-url", "postgresql://u@h/x", "--data", str(tmp_path))
    assert result.exit_code == 2
    assert "not both" in result.output


def test_a_bad_database_url_is_named_as_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings check the environment. Exit code 1 is kept for differences."""
    monkeypatch.setenv("DATABASE_URL", "mysql://u@h/x")
    result = run("verify")
    assert result.exit_code == 2
    assert result.output == "Error: bad settings: DATABASE_URL must be a URL that starts with postgresql://\n"


@pytest.mark.parametrize("words", [["jobs"], ["verify"], ["job", "create", "x"], ["token", "list"]])
def test_a_database_without_tallymark_is_named(empty_url: str, words: list[str]) -> None:
    """It is nothing that went wrong inside the server: somebody forgot to migrate."""
    result = run(*words, "--database-url", empty_url)
    assert (result.exit_code, "run `tallymark migrate`" in result.output, "Internal" in result.output) == (
        2,
        True,
        False,
    )


def test_the_printed_url_can_be_used_as_it_is(tmp_path: Path) -> None:
    """Every program that accepts a libpq URL can use it, such as psql."""
    with EmbeddedPostgres(tmp_path / "data"), psycopg.connect(run("url").output.strip()) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ("tallymark",)
