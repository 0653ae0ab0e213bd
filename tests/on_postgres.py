"""Runs pytest on another PostgreSQL than the embedded one: `python -m tests.on_postgres PROGRAMS [ARGUMENT]...`.

PROGRAMS is the directory of its programs, such as /usr/lib/postgresql/15/bin. A server is made for the run, as the
embedded one is, and named in TEST_DATABASE_URL; TEST_POSTGRES_BIN names its programs. Tests that start an embedded
server by themselves still do.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import psycopg
import pytest
from psycopg import sql

from tallymark.server import EmbeddedPostgres, cluster, postgres

#: Like the embedded server, this one need not survive a power cut.
_FORGETFUL = {"fsync": "off"}


def main(programs: str, *arguments: str) -> int:
    """Run the tests.

    Args:
        programs: The directory of PostgreSQL's programs.
        *arguments: Arguments of pytest.

    Returns:
        Pytest's exit code; 0, with a loud message, if there is no such PostgreSQL.
    """
    if not (Path(programs) / "postgres").exists():
        click.secho(f"!!! NOT TESTED on another PostgreSQL: there is none in {programs}", fg="red", err=True)
        return 0
    with (
        tempfile.TemporaryDirectory(prefix="tallymark-tests-") as directory,
        other_server(Path(programs), Path(directory) / "data") as running,
    ):
        with psycopg.connect(running.url) as connection:
            click.echo(f"PostgreSQL {connection.info.parameter_status('server_version')}")
        environ = os.environ | {"TEST_DATABASE_URL": running.url, "TEST_POSTGRES_BIN": programs}
        return subprocess.run([sys.executable, "-m", "pytest", *arguments], env=environ, check=False).returncode


@contextmanager
def other_server(programs: Path, directory: Path) -> Iterator[EmbeddedPostgres]:
    """Run a server as the embedded one is, made of other programs, with its data in a directory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postgres, "bin_dir", lambda: programs)
        # Before version 16 initdb takes no settings, so they are set afterwards.
        settings = {**vars(cluster)["_CONFIGURATION"], **_FORGETFUL}
        patch.setattr(cluster, "_CONFIGURATION", {})
        running = EmbeddedPostgres(directory)
        with running, psycopg.connect(running.url, autocommit=True) as connection:
            for name, value in settings.items():
                connection.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), value))
        running.start()
    try:
        yield running
    finally:
        running.stop()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
