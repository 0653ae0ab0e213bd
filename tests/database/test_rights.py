"""A missing right is named for what it is, in Python and on the command line, and a role that may be taken is taken."""

import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import psycopg
import pytest
from click.testing import CliRunner
from psycopg.conninfo import make_conninfo

from tallymark import functions
from tallymark.cli import cli
from tallymark.functions import InvalidUpdate, NotGranted, Unavailable

Connection = psycopg.Connection[Any]
MakeLogin = Callable[..., str]


class Done(NamedTuple):
    """What came of a command."""

    exit_code: int
    output: str
    stderr: str


def run(url: str, *arguments: str) -> Done:
    """Run a command."""
    command = [*arguments, "--database-url", url]
    if arguments[0] == "watchdog":  # it keeps its connection until its process ends
        program = [sys.executable, "-c", "from tallymark.cli import main; main()", *command]
        ended = subprocess.run(program, capture_output=True, text=True, check=False, timeout=120)
        return Done(ended.returncode, ended.stdout, ended.stderr)
    done = CliRunner().invoke(cli, command)
    return Done(done.exit_code, done.output, done.stderr)


@pytest.fixture
def make_login(db: Connection, db_url: str) -> Iterator[MakeLogin]:
    """Makes users, with options of CREATE ROLE, and gives the URL of the test's database for them."""
    made: list[str] = []

    def make(options: str = "") -> str:
        name = f"tallymark_test_{secrets.token_hex(6)}"
        db.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'p' {options}".encode())
        made.append(name)
        return make_conninfo(db_url, user=name, password="p")

    yield make
    for name in made:
        db.execute(f"DROP OWNED BY {name}; DROP ROLE {name}".encode())


COMMANDS = {
    "tallymark_reader": [["jobs"], ["job", "show", "j"], ["verify"], ["job", "diagnose", "j"]],
    "tallymark_writer": [["job", "create", "k"], ["job", "command", "j", "pause"]],
    "tallymark_admin": [["token", "list"], ["prune", "--older-than", "30d"], ["watchdog", "--once"]],
}
OTHERS = {
    "tallymark_reader": "tallymark_writer",
    "tallymark_writer": "tallymark_reader",
    "tallymark_admin": "tallymark_writer, tallymark_reader",
}


@pytest.mark.parametrize("lacks", COMMANDS)
def test_each_command_names_the_role_that_it_lacks_and_no_greater_one(
    db: Connection, make_login: MakeLogin, lacks: str
) -> None:
    """For a user with the other roles, and for one with none. With that role it works."""
    db.execute("SELECT tallymark.create_job('j')")
    for options in (f"IN ROLE {OTHERS[lacks]}", ""):
        url = make_login(options)
        for command in COMMANDS[lacks]:
            refused = run(url, *command)
            assert refused.exit_code == 2
            assert f"this user of the database lacks {lacks}; grant that role to it" in refused.stderr, command
    url = make_login(f"IN ROLE {lacks}")
    for command in COMMANDS[lacks]:
        assert run(url, *command).exit_code == 0, command


@pytest.mark.parametrize("role", COMMANDS)
def test_a_user_that_inherits_nothing_takes_the_role(db: Connection, make_login: MakeLogin, role: str) -> None:
    """NOINHERIT means that it asks for it; an admin may do what the others may."""
    db.execute("SELECT tallymark.create_job('j')")
    commands = [command for group in COMMANDS.values() for command in group] if "admin" in role else COMMANDS[role]
    url = make_login(f"NOINHERIT IN ROLE {role}")
    for command in commands:
        done = run(url, *command)
        assert done.exit_code == 0, (command, done.output)


def test_python_says_which_role_a_function_needs(db: Connection, make_login: MakeLogin) -> None:
    """It is no database that is away. Callers that catch Unavailable still catch it; and the next call works."""
    db.execute("SELECT tallymark.create_job('j')")
    with psycopg.connect(make_login("IN ROLE tallymark_writer"), autocommit=True) as connection:
        user = connection.info.user
        with pytest.raises(NotGranted) as caught:
            functions.get_job(connection, "j")
        assert str(caught.value) == f"permission denied for tallymark.get_job: the user {user} lacks tallymark_reader"
        assert caught.value.hint == f"GRANT tallymark_reader TO {user};"
        assert isinstance(caught.value, Unavailable)
        assert functions.create_job(connection, "j")["created"] is False
        db.execute(caught.value.hint.encode())
        assert functions.get_job(connection, "j")["id"] == "j"


def test_in_a_transaction_python_names_the_function(db: Connection, make_login: MakeLogin) -> None:
    """There nothing more can be asked, because the transaction has failed."""
    db.execute("SELECT tallymark.create_job('j')")
    with psycopg.connect(make_login("IN ROLE tallymark_writer")) as connection:
        with pytest.raises(NotGranted, match=r"^permission denied for tallymark\.get_job$"):
            functions.get_job(connection, "j")
        connection.rollback()
        assert functions.create_job(connection, "j")["created"] is False


def test_a_right_on_the_schema_that_is_missing_is_named(db: Connection, make_login: MakeLogin) -> None:
    """The role is there, and what it needs besides."""
    db.execute("REVOKE USAGE ON SCHEMA tallymark FROM tallymark_reader")
    with psycopg.connect(make_login("IN ROLE tallymark_reader"), autocommit=True) as connection:
        with pytest.raises(NotGranted) as caught:
            functions.job_ids(connection)
        assert caught.value.lacks == "USAGE on the schema tallymark"
        db.execute(caught.value.hint.encode())
        assert functions.job_ids(connection) == []


def test_a_character_that_a_session_cannot_have_is_no_fault_of_the_update(db: Connection, db_url: str) -> None:
    """Only the character with the number 0 is; and the next call works."""
    db.execute("SELECT tallymark.create_job('日')")
    with psycopg.connect(db_url, autocommit=True, client_encoding="LATIN1") as connection:
        with pytest.raises(Unavailable) as caught:
            functions.job_ids(connection)
        assert "client_encoding" in caught.value.explanation
        connection.execute("SET client_encoding = 'UTF8'")
        assert functions.job_ids(connection) == ["日"]
        with pytest.raises(InvalidUpdate) as refused:
            functions.create_job(connection, "j", {"a": "\0"})
        assert refused.value.details[0]["problem"] == "must not contain the character \\u0000"
