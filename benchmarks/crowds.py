"""The process of the open pages, and how many there are of what."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from benchmarks.figures import Plan
from benchmarks.pgbench import BenchmarkError
from benchmarks.serving import Server
from tallymark.server.lifeline import bound_to_us

JOBS = 100
JOB_PAGES = 300
OVERVIEW_PAGES = 200
UPDATES_PER_SECOND = 1_000
STREAMS = 600

_ROOT = Path(__file__).parent.parent


class Crowd:
    """The pages, in a process of their own (`viewing.py`)."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Take the process."""
        self._process = process
        self.process = psutil.Process(process.pid)

    def ask(self, word: str) -> dict[str, Any]:
        """Have it do something.

        Args:
            word: `open`, `close`, `mark` or `tell`.

        Returns:
            Its answer.

        Raises:
            BenchmarkError: A page got no stream, or lost it.
        """
        if self._process.stdin is None or self._process.stdout is None:
            raise AssertionError
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"error": "the process of the pages has ended"}
        if "error" in answer:
            raise BenchmarkError(f"the pages could not {word}: {answer['error']}")
        return answer


@contextmanager
def open_crowd(
    server: Server, prefix: str, plan: Plan, token: str, *, kind: str, sizes: tuple[int, int, int] | None = None
) -> Iterator[Crowd]:
    """Start the process of the pages; it opens none yet.

    Args:
        server: Where the pages are.
        prefix: How the ids of the jobs begin.
        plan: How many pages.
        token: What opens them.
        kind: `parse` reads what it gets, anything else only takes it.
        sizes: How many jobs there are, pages of jobs, and pages of the overview; None is what the plan says.

    Yields:
        The process.
    """
    counts = sizes or [plan.size(size) for size in (JOBS, JOB_PAGES, OVERVIEW_PAGES)]
    command = [sys.executable, "-m", "benchmarks.viewing", str(server.port), prefix, *map(str, counts), kind]
    with subprocess.Popen(
        bound_to_us(command, signal.SIGKILL),
        cwd=_ROOT,
        env=os.environ | {"BENCH_TOKEN": token},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Crowd(process)
        finally:
            process.kill()
