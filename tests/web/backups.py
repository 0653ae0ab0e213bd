"""A backup of a database, and its restoration in the same place, while servers run on it."""

import os
import subprocess
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tallymark.server.cluster import bin_dir


class Backup:
    """A dump of a database."""

    def __init__(self, url: str, file: Path) -> None:
        """Make it."""
        self._url = url
        self._file = file
        subprocess.run([_programs() / "pg_dump", "--format=custom", f"--file={file}", url], check=True)

    def restore(self) -> None:
        """Drop the database, even while it is in use, and restore it."""
        name = sql.Identifier(str(conninfo_to_dict(self._url)["dbname"]))
        with psycopg.connect(make_conninfo(self._url, dbname="postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(name))
        subprocess.run([_programs() / "pg_restore", "--exit-on-error", f"--dbname={self._url}", self._file], check=True)


def _programs() -> Path:
    """Return the programs of the server: what a newer pg_dump writes, an older server may not take."""
    return Path(os.environ.get("TEST_POSTGRES_BIN") or bin_dir())
