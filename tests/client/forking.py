"""Forks while a thread of the parent counts. Each child uses the inherited client and reports what happened."""

import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

from tallymark import Job, ProgressClient

_PATIENCE_SECONDS = 20.0
#: The exit code of a child that got the right error.
_RIGHT = 42


def _uses(client: ProgressClient, job: Job, loop: Iterator[int]) -> list[Callable[[], object]]:
    return [
        lambda: job.advance("issues"),
        lambda: job.advance("issues", key="k"),
        lambda: next(loop),
        job.flush,
        lambda: client.job("another"),
        client.close,
        lambda: job.report(message="from a child"),
        lambda: job.checkpoint({"page": 1}),
        lambda: job.seen("k"),
        job.complete,
        job.start,
        lambda: job.stage("one"),
        lambda: job.undelivered,
        lambda: job.should_stop,
    ]


def _child(use: Callable[[], object], pid: int) -> int:
    """Use the client or job; return the exit code."""
    try:
        use()
    except RuntimeError as error:
        right = f"made in process {pid}" in str(error) and f"this is process {os.getpid()}" in str(error)
        return _RIGHT if right else 1
    return 2


def _files(spool: str) -> dict[str, int]:
    """Return the spool's files with their inodes: a child must not remove or replace any."""
    return {entry.name: entry.inode() for entry in os.scandir(spool)}


def _wait_for(child: int) -> str:
    give_up = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < give_up:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return "right" if os.waitstatus_to_exitcode(status) == _RIGHT else f"wrong: {status}"
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hangs"


def main(url: str, token: str, spool: str, name: str, children: int) -> None:
    """Fork children, and print the results as JSON."""
    found: Counter[str] = Counter()
    parent = os.getpid()
    over = threading.Event()
    counted = [0]
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(ProgressClient(url, token=token, spool=spool, every_items=5, every_seconds=0.05))
        job = stack.enter_context(client.job(name))

        def count() -> None:
            while not over.is_set():
                counted[0] += 1
                job.advance("issues", last_id=counted[0], key=f"key {counted[0]}")
                job.advance("others", 2)

        loop = iter(job.track(iter(range(10**9)), type="looped"))
        next(loop)
        uses = _uses(client, job, loop)
        thread = threading.Thread(target=count, daemon=True)
        thread.start()
        files = _files(spool)
        for number in range(children):
            child = os.fork()
            if not child:
                code = _child(uses[number % len(uses)], parent)
                if number % 3 == 0:
                    os._exit(code)
                # The other exits: through the `with` blocks and the interpreter's end.
                if number % 3 == 1:
                    del stack, client, job, loop, uses
                sys.exit(code)
            found[_wait_for(child)] += 1
        kept = _files(spool) == files
        over.set()
        thread.join()
        del loop
    sys.stdout.write(json.dumps({"found": found, "counted": counted[0], "kept": kept}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]))
