"""Whatever the environment says about other servers, the embedded one is made, started and reached."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tallymark.functions.session import connect
from tallymark.server import EmbeddedPostgres

#: Each of them led to another server, or to none, or was refused by this one.
_VARIABLES = {
    "PGHOST": "/nowhere",
    "PGHOSTADDR": "192.0.2.1",
    "PGPORT": "1",
    "PGUSER": "nobody",
    "PGPASSWORD": "wrong",
    "PGDATABASE": "none",
    "PGSERVICE": "none",
    "PGSERVICEFILE": "/nowhere/services",
    "PGPASSFILE": "/nowhere/passwords",
    "PGSYSCONFDIR": "/nowhere",
    "PGOPTIONS": "-c default_transaction_read_only=on",
    "PGSSLMODE": "require",
    "PGREQUIRESSL": "1",
    "PGSSLROOTCERT": "system",
    "PGSSLNEGOTIATION": "direct",
    "PGSSLCERTMODE": "require",
    "PGSSLMINPROTOCOLVERSION": "TLSv1.3",
    "PGREQUIREAUTH": "none",
    "PGCHANNELBINDING": "require",
    "PGGSSENCMODE": "require",
    "PGTARGETSESSIONATTRS": "standby",
    "PGLOADBALANCEHOSTS": "random",
    "PGCONNECT_TIMEOUT": "30",
    "PGCLIENTENCODING": "LATIN1",
    "PGDATESTYLE": "none",
    "PGTZ": "Nowhere/None",
    "PGGEQO": "none",
    "PGDATA": "/nowhere",
    "LC_ALL": "C",
}
_EACH = [[name] for name in _VARIABLES]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A server that was started where nothing is set."""
    with EmbeddedPostgres(tmp_path_factory.mktemp("running") / "data") as server:
        yield server


@pytest.mark.parametrize("names", _EACH, ids=[name for (name,) in _EACH])
def test_its_url_says_everything(running: EmbeddedPostgres, names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Our connections reach it, with each of the variables."""
    for name in names:
        monkeypatch.setenv(name, _VARIABLES[name])
    with connect(running.url) as connection:
        row = connection.execute("SELECT current_database(), current_setting('transaction_read_only')").fetchone()
    assert row == ("tallymark", "off")
    assert all(os.environ[name] == _VARIABLES[name] for name in names)


@pytest.mark.parametrize("name", ["PGHOSTADDR", "PGSSLMODE", "PGSSLROOTCERT", "PGOPTIONS", "PGTARGETSESSIONATTRS"])
def test_other_programs_can_use_it_too(running: EmbeddedPostgres, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a URL can say, it says to every program."""
    monkeypatch.setenv(name, _VARIABLES[name])
    with psycopg.connect(running.url) as connection:
        row = connection.execute("SELECT current_database(), current_setting('transaction_read_only')").fetchone()
    assert row == ("tallymark", "off")


def test_a_server_is_made_and_used_with_all_of_them(tmp_path: Path) -> None:
    """From an empty directory: initdb, start, schema, and a command that finds it."""
    script = """
import subprocess, sys
from pathlib import Path
from tallymark.schema.migrate import migrate
from tallymark.server import EmbeddedPostgres
with EmbeddedPostgres(Path(sys.argv[1])) as server:
    migrate(server.url)
    command = [sys.executable, "-c", "from tallymark.cli import main; main()", "verify", "--data", sys.argv[1]]
    print(subprocess.run(command, check=False, capture_output=True, text=True))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "data")],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **_VARIABLES},
    )
    assert done.returncode == 0, done.stderr
    assert "0 jobs checked, 0 differ" in done.stdout
