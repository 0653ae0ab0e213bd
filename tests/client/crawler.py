"""A small crawler that `test_loses_nothing` kills: it crawls items in order, with types in turn, and resumes.

Its journal has `resumed N SOURCE` for each start, `flushed N WHERE` for each flush that returned, and `done N`.
"""

import os
import random
import sys
import time
from pathlib import Path

from tallymark import ProgressClient

TYPES = ("groups", "projects", "issues")


def write(journal: int, line: str) -> None:
    """Append a line that survives a kill."""
    os.write(journal, f"{line}\n".encode())
    os.fsync(journal)


def crawl(url: str, token: str, spool: str, job_id: str, journal: int, more: int, seed: int) -> None:
    """Crawl this many items in addition to those counted before."""
    chance = random.Random(seed)
    client = ProgressClient(
        url, token=token, spool=spool, every_items=7, every_seconds=0.05, timeout=2.0, start_timeout=5.0
    )
    with client, client.job(job_id, register=True) as job:
        first = int(job.resume.last_processed_id or 0)
        write(journal, f"resumed {first} {job.resume.source}")
        for number in range(first + 1, first + more + 1):
            time.sleep(chance.expovariate(1000))
            job.advance(TYPES[number % 3], last_id=str(number))
            if chance.random() < 0.05:
                where = "server" if job.flush(timeout=0.3) else "spool"
                write(journal, f"flushed {number} {where}")
    write(journal, f"done {first + more}")


if __name__ == "__main__":
    _journal = os.open(Path(sys.argv[5]), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    _url, _token, _spool, _job = sys.argv[1:5]
    crawl(_url, _token, _spool, _job, _journal, int(sys.argv[6]), int(sys.argv[7]))
