"""A PostgreSQL server whose flushes to the disk take 2 ms, as on the network disks of a cloud."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import BenchmarkError
from benchmarks.figures import Say
from benchmarks.own_server import commit_ms, own_server

FSYNC_MS = 2

_SOURCE = Path(__file__).parent / "slow_fsync.c"


@dataclass(frozen=True, slots=True)
class SlowServer:
    """A server with a slow disk.

    Attributes:
        url: A superuser's libpq URL.
        note: How it was made slow, and what a commit takes, for people.
    """

    url: str
    note: str


@contextmanager
def slow_disk_server(directory: Path, say: Say) -> Iterator[SlowServer]:
    """Run the embedded server with a library that makes `fsync` and `fdatasync` take 2 ms.

    Raises:
        BenchmarkError: The library cannot be compiled, or it has no effect.
    """
    library = _compiled(directory)
    with own_server(directory, say, {"wal_sync_method": "fdatasync"}, library) as server:
        slow = commit_ms(server.url)
        if slow < FSYNC_MS:
            raise BenchmarkError(
                f"the slow disk has no effect: a commit takes {slow:.2f} ms, which is less than {FSYNC_MS} ms"
            )
        note = (
            f"slow by a library that is preloaded into PostgreSQL: a commit of one connection takes {slow:.2f} ms, "
            f"without it {server.usual_commit_ms:.2f} ms"
        )
        say(note)
        yield SlowServer(server.url, note)


def _compiled(directory: Path) -> Path:
    compiler = shutil.which(os.environ.get("CC", "gcc")) or shutil.which("cc")
    if compiler is None:
        raise BenchmarkError("a slow disk needs a C compiler: on Debian, apt-get install gcc libc6-dev")
    library = directory / "slow_fsync.so"
    command = [
        *(compiler, "-shared", "-fPIC", "-O2", f"-DSLOW_NANOSECONDS={FSYNC_MS * 1_000_000}"),
        *("-o", str(library), str(_SOURCE), "-ldl"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchmarkError(f"the slow disk's library does not compile:\n{done.stderr.strip()}")
    return library
