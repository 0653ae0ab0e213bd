"""The embedded server is created, started, stopped and started again."""

import os
import re
import socket
import stat
from pathlib import Path

import psycopg
import pytest

from tallymark.server import EmbeddedPostgres, EmbeddedPostgresError
from tallymark.server.cluster import bin_dir

pytestmark = pytest.mark.slow


def _write(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept (word text)")
        connection.execute("INSERT INTO kept VALUES ('here')")


def _read(url: str) -> list[tuple[str]]:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT word FROM kept").fetchall()


def test_what_was_written_is_there_after_a_restart_at_the_same_address(tmp_path: Path) -> None:
    """A second start finds the first one's data, under the same URL."""
    server = EmbeddedPostgres(tmp_path / "data")
    with server:
        first = server.url
        _write(first)
    assert server.process is None

    with EmbeddedPostgres(tmp_path / "data") as again:
        assert again.url == first
        assert _read(again.url) == [("here",)]


def test_a_commit_is_on_the_disk_before_it_is_acknowledged(tmp_path: Path) -> None:
    """No setting on which durability depends is switched off."""
    with EmbeddedPostgres(tmp_path / "data") as server, psycopg.connect(server.url) as connection:
        shown = {
            name: connection.execute("SELECT current_setting(%s)", [name]).fetchone()
            for name in ("fsync", "full_page_writes", "synchronous_commit")
        }
    assert shown == {"fsync": ("on",), "full_page_writes": ("on",), "synchronous_commit": ("on",)}


def test_other_users_of_the_machine_get_neither_at_the_files_nor_past_the_password(tmp_path: Path) -> None:
    """Only the owner can read the directory and the password, and the local port asks for the password."""
    data = tmp_path / "data"
    with EmbeddedPostgres(data) as server:
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
        assert {path.name for path in data.iterdir() if stat.S_IMODE(path.stat().st_mode) & 0o077} == set()
        without_password = re.sub(r":[^:@]+@", "@", server.url)
        with pytest.raises(psycopg.OperationalError, match="no password supplied"):
            psycopg.connect(without_password)
        with psycopg.connect(server.url) as connection:
            shown = connection.execute(
                "SELECT current_setting('listen_addresses'), current_setting('unix_socket_directories')"
            ).fetchone()
    assert shown == ("127.0.0.1", "")


def test_a_second_start_on_the_same_data_is_refused_and_names_the_first(tmp_path: Path) -> None:
    """Two servers on one data directory would destroy it."""
    with EmbeddedPostgres(tmp_path / "data") as server:
        with pytest.raises(EmbeddedPostgresError, match=rf"in use by process {os.getpid()}\b"):
            EmbeddedPostgres(tmp_path / "data").start()
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_port_that_was_taken_meanwhile_is_replaced_by_a_free_one(tmp_path: Path) -> None:
    """The last port is only preferred, because another program may use it now."""
    with EmbeddedPostgres(tmp_path / "data") as server:
        last = server.port
    with socket.create_server(("127.0.0.1", last)), EmbeddedPostgres(tmp_path / "data") as again:
        assert again.port != last
        with psycopg.connect(again.url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_port_that_was_asked_for_and_is_taken_is_an_error(tmp_path: Path) -> None:
    """A named port is never replaced by another one."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(EmbeddedPostgresError, match=f"port {port} is taken"):
            EmbeddedPostgres(tmp_path / "data", port=port).start()


def test_a_half_made_data_directory_is_made_again(tmp_path: Path) -> None:
    """The remains of a killed initdb must not be taken for a cluster."""
    half_made = tmp_path / "data" / "cluster.new"
    half_made.mkdir(parents=True)
    (half_made / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(tmp_path / "data") as server, psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert not half_made.exists()


def test_data_of_another_major_version_is_refused_by_name(tmp_path: Path) -> None:
    """After an upgrade of the wheel, the message must say what to do with older data."""
    with EmbeddedPostgres(tmp_path / "data"):
        pass
    (tmp_path / "data" / "cluster" / "PG_VERSION").write_text("13\n")
    with pytest.raises(EmbeddedPostgresError, match=r"made by PostgreSQL 13, and this is PostgreSQL \d+: move it"):
        EmbeddedPostgres(tmp_path / "data").start()


def test_a_server_that_does_not_start_shows_its_log_and_frees_the_data(tmp_path: Path) -> None:
    """The message has the end of the server's log, where the reason is."""
    with EmbeddedPostgres(tmp_path / "data"):
        pass
    configuration = tmp_path / "data" / "cluster" / "postgresql.conf"
    good = configuration.read_text()
    configuration.write_text(good + "\nshared_buffers = 'plenty'\n")
    with pytest.raises(EmbeddedPostgresError, match='invalid value for parameter "shared_buffers": "plenty"'):
        EmbeddedPostgres(tmp_path / "data").start()

    configuration.write_text(good)
    with EmbeddedPostgres(tmp_path / "data") as server:
        assert server.process is not None


def test_a_password_file_that_is_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    """As root, the server may run on a directory of another user."""
    data = tmp_path / "data"
    with EmbeddedPostgres(data):
        pass
    (data / "password").rename(tmp_path / "elsewhere")
    (data / "password").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EmbeddedPostgresError, match="cannot use the data directory"):
        EmbeddedPostgres(data).start()


def test_a_lost_password_is_named_instead_of_a_failed_login(tmp_path: Path) -> None:
    """The message names the missing file."""
    with EmbeddedPostgres(tmp_path / "data"):
        pass
    (tmp_path / "data" / "password").unlink()
    with pytest.raises(EmbeddedPostgresError, match=r"password is missing"):
        EmbeddedPostgres(tmp_path / "data").start()


def test_the_programs_beside_the_server_are_there() -> None:
    """Tests and benchmarks use the psql, pgbench and pg_dump of the same version."""
    programs = bin_dir()
    assert {"psql", "pgbench", "pg_dump", "pg_basebackup"} <= {path.name for path in programs.iterdir()}
