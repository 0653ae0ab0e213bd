"""The embedded server as root, as an ordinary user, and as root where user namespaces are forbidden."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from tallymark.server import EmbeddedPostgres, EmbeddedPostgresError, postgres_user

pytestmark = pytest.mark.slow

NOBODY = postgres_user.NOBODY

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: only root can become another user")

_ROUND = """
import sys
from pathlib import Path
import psycopg
from tallymark.server import EmbeddedPostgres

for _ in range(2):
    with EmbeddedPostgres(Path(sys.argv[1])) as server, psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (word text)")
        connection.execute("INSERT INTO kept VALUES ('here')")
        print(connection.execute("SELECT count(*) FROM kept").fetchone()[0])
"""


@pytest.fixture
def open_dir() -> Iterator[Path]:
    """A directory that every user can reach; pytest's own is closed to others."""
    directory = Path(tempfile.mkdtemp(prefix="tallymark-users-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


def _skip_where_nobody_cannot_run_us() -> None:
    """Skip if this checkout or its interpreter is in a directory that is closed to others, such as /root."""
    try:
        tried = subprocess.run(
            [sys.executable, "-c", "import tallymark.server"],
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            check=False,
        )
    except PermissionError:
        pytest.skip(f"NOT TESTED: other users cannot reach {sys.executable}")
    if tried.returncode != 0:
        pytest.skip(f"NOT TESTED: other users cannot import tallymark: {tried.stderr.decode()[-200:]}")


@as_root
def test_root_runs_it_without_giving_its_files_away(open_dir: Path) -> None:
    """In the user namespace the data stays root's; the server is not treated as root."""
    if not postgres_user._namespace_prefix():
        pytest.skip("NOT TESTED: user namespaces are forbidden here")
    with EmbeddedPostgres(open_dir / "data") as server, psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        assert {path.stat().st_uid for path in (open_dir / "data").rglob("*")} == {0}


@as_root
def test_an_ordinary_user_runs_it(open_dir: Path) -> None:
    """It needs no right that only root has."""
    _skip_where_nobody_cannot_run_us()
    os.chown(open_dir, NOBODY, NOBODY)
    done = subprocess.run(
        [sys.executable, "-c", _ROUND, str(open_dir / "data")],
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("1\n2\n", "")


@as_root
def test_root_runs_another_users_data_as_that_user(open_dir: Path) -> None:
    """After a start with sudo the owner can still start it."""
    _skip_where_nobody_cannot_run_us()
    data = open_dir / "data"
    data.mkdir(mode=0o700)
    os.chown(data, NOBODY, NOBODY)
    with EmbeddedPostgres(data) as server:
        assert server.process is not None
        assert psutil.Process(server.process.pid).uids().real == NOBODY
    assert {path.stat().st_uid for path in data.rglob("*")} == {NOBODY}


@as_root
def test_root_without_user_namespaces_runs_it_as_nobody(open_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container: the server runs as nobody, who gets the data, including data that root made before."""
    _skip_where_nobody_cannot_run_us()
    with EmbeddedPostgres(open_dir / "data") as server:
        first = server.url
    monkeypatch.setattr(postgres_user, "_namespace_prefix", tuple)
    with EmbeddedPostgres(open_dir / "data") as server, psycopg.connect(server.url) as connection:
        assert server.url == first
        assert connection.execute("SELECT 1").fetchone() == (1,)
        assert server.process is not None
        assert psutil.Process(server.process.pid).uids().real == NOBODY
    assert {path.stat().st_uid for path in (open_dir / "data").rglob("*")} == {NOBODY}


@as_root
def test_root_gets_the_path_that_nobody_cannot_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If there is no way to run it, the message names the path and what to do."""
    monkeypatch.setattr(postgres_user, "_namespace_prefix", tuple)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(EmbeddedPostgresError, match=r"cannot reach /.*: run as an ordinary user, or keep it where"):
        EmbeddedPostgres(closed / "data").start()
