"""Crawls that Ctrl-C ends at a random moment: do count and cursor agree, and does anything hang?

`python tests/client/interrupted.py 200` runs so many rounds of each kind and prints the results. A round is a job in a
child process that gets a real SIGINT. There is no server: the counts are read from the spool.
"""

import itertools
import json
import os
import random
import select
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tallymark import Job, ProgressClient

#: A round takes some tenths of a second.
_PATIENCE_SECONDS = 20.0


def _advance(job: Job) -> None:
    for number in itertools.count(1):
        job.advance("issues", 1, last_id=number)


def _keys(job: Job) -> None:
    for number in itertools.count(1):
        job.advance("issues", 1, last_id=number, key=str(number))


def _track(job: Job) -> None:
    for _number in job.track(itertools.count(1), type="issues", id=str, bar=False):
        pass


def _mixed(job: Job) -> None:
    for number in itertools.count(1):
        job.advance("issues", 1, last_id=number)
        job.checkpoint({"page": number})
        job.report(message=f"at {number}")
        for _ in job.track(range(3), type="pages", bar=False):
            job.advance("requests", processed=0)
        if number % 7 == 0:
            job.stage(f"stage {number}")
            job.flush(timeout=0.0)


def _nested(job: Job) -> None:
    """Report again in the signal handler, in the middle of another report."""

    def more(*_args: object) -> None:
        job.report(message="Ctrl-C")
        job.event("interrupted")
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, more)
    _mixed(job)


def _caught(job: Job) -> None:
    """Catch the exception, and go on."""
    done = itertools.count(1)
    number = 0
    try:
        for number in done:
            job.advance("issues", 1, last_id=number, key=str(number))
    except KeyboardInterrupt:
        # It is unknown whether this item was counted; its key tells.
        job.advance("issues", 1, last_id=number, key=str(number))
        job.flush(timeout=0.0)
        raise


WAYS: dict[str, Callable[[Job], None]] = {
    "advance": _advance,
    "keys": _keys,
    "track": _track,
    "mixed": _mixed,
    "nested": _nested,
    "caught": _caught,
}


def crawl(spool: str, way: str) -> None:
    """Run a job for each line of the standard input, until a signal comes."""
    # A parent that ignores the signal, as under nohup, would have it ignored here, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    settings = {"start_timeout": 0.05, "end_timeout": 0.05}
    with ProgressClient("http://127.0.0.1:1", token="t", spool=spool, retries=0, **settings) as client:  # type: ignore[arg-type]
        for line in sys.stdin:
            try:
                with client.job(line.strip()) as job:
                    os.write(1, b"crawls\n")
                    WAYS[way](job)
            except KeyboardInterrupt:
                os.write(1, b"left\n")


class _Child:
    def __init__(self, spool: Path, way: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(spool), way],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout

    def hears(self, word: bytes) -> bool:
        """Wait for a line of the child; return whether it came in time."""
        ready, _, _ = select.select([self._out], [], [], _PATIENCE_SECONDS)
        return bool(ready) and self._out.readline() == word + b"\n"

    def round(self, name: str, seconds: float) -> bool:
        """Begin a job, and interrupt it after a while; say whether it was left."""
        self._in.write(f"{name}\n".encode())
        self._in.flush()
        if not self.hears(b"crawls"):
            return False
        time.sleep(seconds)
        self._process.send_signal(signal.SIGINT)
        return self.hears(b"left")

    def end(self) -> bool:
        """End it; say whether it ended by itself."""
        self._in.close()
        try:
            return self._process.wait(_PATIENCE_SECONDS) == 0
        except subprocess.TimeoutExpired:
            return False
        finally:
            self._process.kill()
            self._process.wait()
            self._out.close()


def what_is_wrong(path: Path) -> str | None:
    """Compare count and cursor of the updates that wait in a file with its position; return the differences."""
    with sqlite3.connect(path) as spool:
        rows = [json.loads(row[0]) for row in spool.execute("SELECT payload FROM waiting ORDER BY seq")]
        position = json.loads(spool.execute("SELECT value FROM position").fetchone()[0])
    spool.close()
    counts = sum(
        row.get("itemsByType", {}).get("issues", 0) + len(row.get("itemKeys", {}).get("issues", ())) for row in rows
    )
    cursors = [int(row["lastProcessedId"]) for row in rows if "lastProcessedId" in row]
    found = (counts, max(cursors, default=0), position["items_by_type"].get("issues", 0))
    cursor = int(position["last_processed_id"] or 0)
    if {*found} != {cursor}:
        return f"counted {found[0]} to cursor {found[1]}; position {found[2]} at {cursor}"
    return None if rows[-1]["status"] == "paused" else f"ended {rows[-1]['status']}"


def rounds(number: int, way: str, directory: Path, seed: int) -> tuple[Counter[str], list[str]]:
    """Run rounds; return how many were right, wrong or hanging, and the problems."""
    chance = random.Random(seed)
    spool = directory / way
    child: _Child | None = None
    result: Counter[str] = Counter()
    for one in range(number):
        child = child or _Child(spool, way)
        if not child.round(f"job{one}", chance.uniform(0.0, 0.03)):
            result["hangs"] += 1
            child.end()
            child = None
    if child is not None and not child.end():
        result["hangs"] += 1
    wrong = [f"{path.name}: {what}" for path in sorted(spool.glob("*.sqlite3")) if (what := what_is_wrong(path))]
    result["wrong"] = len(wrong)
    result["right"] = len(list(spool.glob("*.sqlite3"))) - len(wrong)
    return result, wrong


if __name__ == "__main__":
    if len(sys.argv) == 3:
        crawl(*sys.argv[1:])
    else:
        _rounds = int(sys.argv[1])
        with tempfile.TemporaryDirectory() as _directory:
            for _way in WAYS:
                _result, _wrong = rounds(_rounds, _way, Path(_directory), random.SystemRandom().randrange(10**6))
                sys.stdout.write(
                    f"{_way}: count equals cursor in {_result['right']} of {_rounds}, hangs {_result['hangs']}"
                    f"{''.join(f'{chr(10)}  {what}' for what in _wrong[:5])}\n"
                )
                sys.stdout.flush()
