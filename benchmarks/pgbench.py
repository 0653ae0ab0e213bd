"""Runs of pgbench, the program that comes with PostgreSQL."""

import re
import subprocess
from dataclasses import dataclass

from benchmarks.database import SQL, Database, libpq_environment
from benchmarks.errors import BenchmarkError
from tallymark.server.cluster import bin_dir

_PROCESSED = re.compile(r"^number of transactions actually processed: (\d+)", re.MULTILINE)
_FAILED = re.compile(r"^number of failed transactions: (\d+)", re.MULTILINE)
_SPEED = re.compile(r"^tps = ([\d.]+) \(without initial connection time\)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did.

    Attributes:
        transactions: How many were committed.
        per_second: How many a second, from the first to the last.
    """

    transactions: int
    per_second: float


@dataclass(frozen=True, slots=True)
class Script:
    """A script of `benchmarks/sql`, and on which jobs it works.

    Attributes:
        name: The script's file.
        prefix: What the names of the jobs begin with.
        jobs: How many jobs there are; each transaction takes a random one.
        clients: How many connections run it at once.
        updates: How many updates a transaction has, where the script asks for it.
    """

    name: str
    prefix: str
    jobs: int = 1
    clients: int = 1
    updates: int = 1

    def run(self, database: Database, *, seconds: int | None = None, transactions: int | None = None) -> Outcome:
        """Run it.

        Returns:
            What it did.
        """
        command = [
            *(str(bin_dir() / "pgbench"), "--no-vacuum", "--protocol", "prepared"),
            *("--client", str(self.clients), "--jobs", str(min(2, self.clients))),
            *(("--time", str(seconds)) if transactions is None else ("--transactions", str(transactions))),
            *("--define", f"prefix={self.prefix}", "--define", f"jobs={self.jobs}"),
            *("--define", f"updates={self.updates}"),
            *("--file", str(SQL / self.name)),
        ]
        # In English, because the outcome is read from what it prints.
        environment = libpq_environment(database.url) | {"LC_ALL": "C.UTF-8"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        if done.returncode != 0:
            raise BenchmarkError(f"pgbench failed on {self.name}:\n{done.stderr.strip()}")
        return parse(done.stdout)


def parse(report: str) -> Outcome:
    """Read what pgbench prints at its end.

    Returns:
        The outcome.
    """
    processed, failed, speed = (pattern.search(report) for pattern in (_PROCESSED, _FAILED, _SPEED))
    if processed is None or speed is None:
        raise BenchmarkError(f"pgbench gave no figures:\n{report.strip()}")
    if failed is not None and int(failed[1]) > 0:
        raise BenchmarkError(f"{failed[1]} transactions failed")
    return Outcome(int(processed[1]), float(speed[1]))
