"""The embedded server after a kill -9: of the process that started it, of the server, and of both."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from tallymark.server import EmbeddedPostgres

pytestmark = pytest.mark.slow


def _commit_in_a_crowd(url: str) -> psycopg.Connection[Any]:
    """Commit a row, then leave a transaction open on its connection."""
    connection = psycopg.connect(url)
    connection.execute("CREATE TABLE kept (word text)")
    connection.execute("INSERT INTO kept VALUES ('committed')")
    connection.commit()
    connection.execute("INSERT INTO kept VALUES ('not committed')")
    return connection


def _kept(data_dir: Path) -> list[tuple[str]]:
    with EmbeddedPostgres(data_dir) as server, psycopg.connect(server.url) as connection:
        return connection.execute("SELECT word FROM kept").fetchall()


def test_a_killed_parent_takes_the_server_with_it_and_the_next_start_has_what_was_committed(
    tmp_path: Path, hold: Callable[..., Any], gone: Callable[[int], bool]
) -> None:
    """After kill -9 of the parent, no server is left, and nothing prevents the next start."""
    holder = hold(tmp_path / "data")
    with closing(_commit_in_a_crowd(holder.url)):
        holder.kill()
        # At once, while the old server may still be ending.
        assert _kept(tmp_path / "data") == [("committed",)]
    assert gone(holder.server_pid)


def test_a_killed_server_is_recovered_by_the_next_start(
    tmp_path: Path, hold: Callable[..., Any], gone: Callable[[int], bool]
) -> None:
    """A kill -9 of PostgreSQL loses nothing that was committed."""
    holder = hold(tmp_path / "data")
    with closing(_commit_in_a_crowd(holder.url)):
        os.kill(holder.server_pid, signal.SIGKILL)
        assert gone(holder.server_pid)
        holder.kill()
        assert _kept(tmp_path / "data") == [("committed",)]


def test_a_killed_server_can_be_started_again_by_the_same_process(tmp_path: Path) -> None:
    """The process that lost its server starts another, on the same object."""
    server = EmbeddedPostgres(tmp_path / "data")
    with server:
        assert server.process is not None
        server.process.kill()
    with server, psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_server_that_outlived_its_parent_is_ended_in_good_order_by_the_next_start(
    tmp_path: Path, hold: Callable[..., Any], gone: Callable[[int], bool]
) -> None:
    """If the kernel did not end the old server, the next start stops it, and then runs alone."""
    holder = hold(tmp_path / "data", outlived=True)
    connection = _commit_in_a_crowd(holder.url)
    holder.kill()
    assert psutil.pid_exists(holder.server_pid)
    assert _kept(tmp_path / "data") == [("committed",)]
    assert gone(holder.server_pid)
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")
    connection.close()


@pytest.mark.parametrize("program", ["sleep", "postgres"])
def test_a_process_number_used_again_by_somebody_else_does_not_stop_the_start(tmp_path: Path, program: str) -> None:
    """postmaster.pid may name a living process that is unrelated to the data."""
    with EmbeddedPostgres(tmp_path / "data"):
        pass
    # Even if it is a server, of another data directory.
    impostor = tmp_path / program
    impostor.symlink_to("/bin/sleep")
    with subprocess.Popen([impostor, "60"]) as stranger:
        (tmp_path / "data" / "cluster" / "postmaster.pid").write_text(f"{stranger.pid}\n{tmp_path}\n")
        with EmbeddedPostgres(tmp_path / "data") as server:
            assert server.process is not None
            assert stranger.poll() is None
        stranger.kill()


def test_a_dead_server_that_nobody_collects_does_not_stop_the_start(tmp_path: Path) -> None:
    """In a container a killed orphan stays in the process table forever, and its process id stays in use."""
    with EmbeddedPostgres(tmp_path / "data"):
        pass
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        while psutil.Process(dead.pid).status() != psutil.STATUS_ZOMBIE:
            pass
        (tmp_path / "data" / "cluster" / "postmaster.pid").write_text(f"{dead.pid}\n{tmp_path}\n")
        with EmbeddedPostgres(tmp_path / "data") as server:
            assert server.process is not None


def test_hurrying_a_stop_leaves_data_that_the_next_start_recovers(tmp_path: Path) -> None:
    """The immediate shutdown skips the checkpoint, and loses nothing."""
    server = EmbeddedPostgres(tmp_path / "data")
    server.start()
    with closing(_commit_in_a_crowd(server.url)):
        server.hurry()
        server.stop()
        assert _kept(tmp_path / "data") == [("committed",)]
