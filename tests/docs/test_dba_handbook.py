"""docs/dba-handbook.md: each command works with the least role, and not with less; the statements run."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
import pytest
from click.testing import CliRunner
from tests.docs.pages import fenced, read, rows, section
from tests.web.conftest import Web
from tests.web.watching import wait_until

from tallymark.cli import COMMANDS, cli
from tallymark.server.ports import some_free_port

if TYPE_CHECKING:
    from tests.docs.conftest import Place

pytestmark = pytest.mark.slow

PAGE = read("docs/dba-handbook.md")
READER, WRITER, ADMIN = "tallymark_reader", "tallymark_writer", "tallymark_admin"

#: How each command that needs one of the three roles is called; the job has ended.
CALLS = {
    "jobs": ["jobs"],
    "job show": ["job", "show", "ended"],
    "job diagnose": ["job", "diagnose", "ended"],
    "watch": ["watch", "ended", "--until-done"],
    "verify": ["verify"],
    "job create": ["job", "create", "made"],
    "job command": ["job", "command", "running", "pause"],
    "prune": ["prune", "--older-than", "30d"],
    "watchdog": ["watchdog", "--once"],
    "import-original": ["import-original", "URL", "--table", "source.original"],
    "token create": ["token", "create", "NAME", "--scope", "read"],
    "token list": ["token", "list"],
    "token revoke": ["token", "revoke", "given"],
}
#: What has less than each role: the command fails with it.
LESS = {READER: WRITER, WRITER: READER, ADMIN: f"{READER}, {WRITER}"}


def table() -> dict[str, str]:
    """Return what the page says that the user of each command needs."""
    found = {}
    for commands, needs in rows(section(PAGE, "## Which role for which command")):
        found.update(dict.fromkeys(re.findall(r"`([^`]+)`", commands), needs))
    return found


class Done(NamedTuple):
    """What came of a command."""

    exit_code: int
    output: str
    stderr: str


def run(url: str, *arguments: str) -> Done:
    """Run a command of ours, as its user would."""
    if arguments[0] == "watchdog":  # it keeps its connection until its process ends
        command = [sys.executable, "-c", "from tallymark.cli import main; main()", *arguments]
        environ = {**os.environ, "DATABASE_URL": url}
        ended = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=120)
        return Done(ended.returncode, ended.stdout, ended.stderr)
    done = CliRunner().invoke(cli, arguments, env={"DATABASE_URL": url})
    return Done(done.exit_code, done.output, done.stderr)


@pytest.fixture(scope="module")
def ready(place: "Place") -> "Place":
    """The place, with a job that has ended, one that runs, and a token."""
    for job, status in (("ended", "completed"), ("running", "processing")):
        place.db.execute("SELECT tallymark.create_job(%s)", [job])
        place.db.execute("SELECT tallymark.merge_progress(%s, %s)", [job, json.dumps({"status": status})])
    place.db.execute("SELECT tallymark.create_token('given', '{read}')")
    place.db.execute("CREATE SCHEMA source")
    place.db.execute("CREATE TABLE source.original (id text PRIMARY KEY, status text, progress jsonb)")
    place.db.execute("INSERT INTO source.original VALUES ('imported', 'queued', '{}')")
    return place


@pytest.fixture
def user(ready: "Place", request: pytest.FixtureRequest) -> Iterator[str]:
    """A user without any rights."""
    name = f"user_{abs(hash(request.node.name))}"
    ready.db.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'p'".encode())
    yield name
    ready.db.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = %s", [name])
    ready.db.execute(f"DROP OWNED BY {name}".encode())
    ready.db.execute(f"DROP ROLE {name}".encode())


def test_every_command_is_in_the_table() -> None:
    """Also those of groups, by both names."""
    names = set()
    for name in COMMANDS:
        command = cli.get_command(None, name)  # type: ignore[arg-type]  # no context is needed
        parts = getattr(command, "commands", {})
        names |= {f"{name} {part}" for part in parts} or {name}
    assert names <= set(table())


@pytest.mark.parametrize("command", [name for name in CALLS if name.split()[0] in COMMANDS])
def test_a_command_works_with_its_role_and_not_with_less(ready: "Place", user: str, command: str) -> None:
    """Which the message names."""
    (role,) = re.findall(r"`(tallymark_\w+)`", table()[command])
    call = [{"NAME": user, "URL": ready.url}.get(part, part) for part in CALLS[command]]
    ready.db.execute(f"GRANT {LESS[role]} TO {user}".encode())
    refused = run(ready.url_for(user), *call)
    assert (refused.exit_code, role in refused.stderr) == (2, True), refused.output
    ready.db.execute(f"REVOKE {LESS[role]} FROM {user}".encode())
    ready.db.execute(f"GRANT {role} TO {user}".encode())
    done = run(ready.url_for(user), *call)
    assert done.exit_code == 0, done.output


def test_the_endpoint_works_with_both_roles(ready: "Place", user: str, tmp_path: Path) -> None:
    """And says what is missing with one of them."""
    assert set(re.findall(r"`(tallymark_\w+)`", table()["serve"])) == {READER, WRITER}
    ready.db.execute(f"GRANT {READER} TO {user}".encode())
    web = Web(ready.url_for(user), tmp_path / "web.log", {})
    try:
        assert web.call("GET", "/readyz").status == 503
        ready.db.execute(f"GRANT {WRITER} TO {user}".encode())
        wait_until(lambda: web.call("GET", "/readyz").status == 200)
    finally:
        web.stop()


@pytest.fixture
def own_database(ready: "Place", user: str) -> Iterator[str]:
    """The URL of a database that the user owns."""
    ready.db.execute(f"CREATE DATABASE owned_{user} OWNER {user} TEMPLATE template0".encode())
    yield ready.url_for(user, f"owned_{user}")
    ready.db.execute(f"DROP DATABASE owned_{user} WITH (FORCE)".encode())


def test_the_owner_of_a_database_installs_and_checks(ready: "Place", user: str, own_database: str) -> None:
    """As a member of tallymark_owner where the roles exist; with CREATEDB the doctor needs no other server."""
    ready.db.execute(f"GRANT tallymark_owner TO {user}".encode())
    _installs_and_checks(ready, user, own_database)
    done = run(own_database, "rollback", "--yes")
    assert done.exit_code == 0, done.output


def _installs_and_checks(ready: "Place", user: str, url: str) -> None:
    done = run(url, "migrate")
    assert done.exit_code == 0, done.output
    done = run(url, "doctor", "--no-settings")
    assert done.exit_code == 0, done.output
    assert "embedded server" in done.stderr
    ready.db.execute(f"ALTER ROLE {user} CREATEDB".encode())
    done = run(url, "doctor", "--no-settings")
    assert (done.exit_code, done.stderr) == (0, "")


def test_up_with_a_database_needs_what_migrate_and_serve_need(ready: "Place", user: str, own_database: str) -> None:
    """It installs, serves, and ends on Ctrl-C."""
    ready.db.execute(f"GRANT tallymark_owner TO {user}".encode())
    port = some_free_port("127.0.0.1")
    command = [sys.executable, "-c", "from tallymark.cli import main; main()", "up", "--port", str(port)]
    environ = {**os.environ, "DATABASE_URL": own_database, "CRAWLER_API_TOKEN": "t"}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        give_up = time.monotonic() + 60
        for line in process.stdout:
            if line.startswith("curl") and "progress" in line:
                break
            assert time.monotonic() < give_up
        process.send_signal(signal.SIGINT)
        process.stdout.read()
    assert process.returncode in {0, 130}
    with psycopg.connect(own_database) as db:
        assert db.execute("SELECT count(*) FROM tallymark.job").fetchone() == (0,)


def test_the_queries_of_the_page_run(ready: "Place", user: str) -> None:
    """As a user who may monitor and read."""
    ready.db.execute("ANALYZE")
    ready.db.execute(f"GRANT pg_monitor, tallymark_reader TO {user}".encode())
    ready.db.execute(f"ALTER ROLE {user} SET default_transaction_read_only = on".encode())
    sizes, monitoring = (fenced(section(PAGE, f"## {name}"), "sql") for name in ("Sizing", "Monitoring queries"))
    statements = [one for block in [*sizes, *monitoring] for one in block.split(";\n")]
    assert len(statements) == 9
    with psycopg.connect(ready.url_for(user), autocommit=True) as db:
        for statement in statements:
            assert db.execute(statement.encode()).description is not None
        ledger = next(row for row in db.execute(sizes[0].encode()) if row[0] == "job_event")
        assert ledger[1] == ready.value("SELECT count(*) FROM tallymark.job_event")
        (options,) = fenced(section(PAGE, "## Upgrades of PostgreSQL"), "sql")
        assert db.execute(options.encode()).fetchone() == (0,)
        assert len(db.execute(next(one for one in statements if "self_time" in one).encode()).fetchall()) == 20


def test_the_maintenance_of_the_page_runs(ready: "Place") -> None:
    """While the server is in use."""
    vacuum, autovacuum = fenced(section(PAGE, "## HOT updates, vacuum and bloat"), "sql")
    for statement in vacuum.splitlines():
        ready.db.execute(statement.partition(";")[0].encode())
    ready.db.execute(autovacuum.encode())
    found = run(ready.url, "doctor", "--no-settings")
    assert (found.exit_code, "autovacuum_vacuum_insert_scale_factor" in found.output) == (1, True), found.output
    ready.db.execute(re.findall(r"`(ALTER TABLE \S+ RESET [^`]+)`", PAGE)[0].encode())
    assert run(ready.url, "doctor", "--no-settings").exit_code == 0


def test_uninstalling_leaves_nothing(own_place: "Place") -> None:
    """Neither schema nor tables nor roles; afterwards docs/operations.md installs it again, and that goes, too."""
    assert len(_tables(own_place.db)) > 10
    own_place.db.execute("CREATE ROLE tallymark_web LOGIN IN ROLE tallymark_writer, tallymark_reader")
    own_place.db.execute(
        f"GRANT CONNECT ON DATABASE {own_place.value('SELECT current_database()')} TO tallymark_reader".encode()
    )
    _uninstall(own_place, own_place.db)
    made = fenced(section(read("docs/operations.md"), "## On a PostgreSQL server of your own"), "sql")[0]
    for statement in made.replace("'...'", "'p'").replace("DATABASE tallymark ", "DATABASE second ").split(";\n"):
        own_place.db.execute(statement.encode())
    url = own_place.url_for("tallymark_installer", "second")
    _installs_and_checks(own_place, "tallymark_installer", url)
    with psycopg.connect(own_place.url, dbname="second", autocommit=True) as second:
        assert len(_tables(second)) > 10
        _uninstall(own_place, second)
        second.execute("DROP OWNED BY tallymark_installer")
    own_place.db.execute("DROP DATABASE second WITH (FORCE)")
    own_place.db.execute("DROP ROLE tallymark_installer")


def _uninstall(ready: "Place", db: "psycopg.Connection[Any]") -> None:
    for block in fenced(section(PAGE, "## Uninstalling"), "sql"):
        db.execute(block.encode())
    assert _tables(db) == []
    assert ready.value("SELECT array_agg(rolname) FROM pg_roles WHERE rolname ~ '^tallymark_(?!installer)'") is None


def _tables(db: "psycopg.Connection[Any]") -> list[str]:
    query = """SELECT c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
               WHERE n.nspname IN ('tallymark', 'public')"""
    return [name for (name,) in db.execute(query)]
