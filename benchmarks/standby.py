"""A streaming replica of an embedded server."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.errors import BenchmarkError
from tallymark.server import EmbeddedPostgres
from tallymark.server.cluster import bin_dir, environment
from tallymark.server.postgres_user import choose_user


@contextmanager
def standby(primary: EmbeddedPostgres, data_dir: Path) -> Iterator[EmbeddedPostgres]:
    """Make a replica of a running server, and follow it."""
    data_dir.mkdir(mode=0o700, parents=True)
    programs = bin_dir()
    user = choose_user(data_dir, programs / "postgres")
    password = data_dir / "password"
    shutil.copyfile(primary.data_dir / "password", password)
    password.chmod(0o600)
    user.give(password)
    done = subprocess.run(
        [
            *user.prefix,
            str(programs / "pg_basebackup"),
            *("--dbname", primary.url, "--pgdata", str(data_dir / "cluster")),
            *("--write-recovery-conf", "--checkpoint=fast", "--wal-method=stream"),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env=environment(),
        **user.popen_arguments(),
    )
    if done.returncode != 0:
        raise BenchmarkError(f"pg_basebackup failed: {done.stderr.strip()}")
    with EmbeddedPostgres(data_dir) as replica:
        yield replica
