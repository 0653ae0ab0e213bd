"""Signals in the moment of a fork: `python signalled_in_fork.py SCRIPT SPOOL ...` runs one of `SCRIPTS`."""

import json
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import Any

#: The signals to send in a child, and in the parent while it forks.
in_child: list[int] = []
in_parent: list[int] = []


def _send(numbers: list[int]) -> None:
    for number in numbers:
        os.kill(os.getpid(), number)


# Before the client is imported: the child calls this first, and the parent last.
os.register_at_fork(before=lambda: _send(in_parent), after_in_child=lambda: _send(in_child))

from tallymark import Job, ProgressClient  # noqa: E402 - see above
from tallymark.client import opened, process  # noqa: E402

#: The exit status of a child that lives on, of one whose handler was called, and of one where all is as it should be.
_LIVES_ON, _HANDLED, _RIGHT = 3, 7, 42
#: The exit status of a child that was not interrupted, because it has begun.
_BEGUN = 43


def _client(spool: str) -> ProgressClient:
    return ProgressClient("http://127.0.0.1:1", token="x", spool=spool, retries=0, start_timeout=0.1, end_timeout=0.1)


def _wait_for(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


# --- a child gets a signal at once ------------------------------------------------------------------------------------


def _fork() -> int:
    child = os.fork()
    if not child:
        os._exit(_LIVES_ON)
    return _wait_for(child)


def _fork_in_a_thread() -> int:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(_fork()))
    thread.start()
    thread.join()
    return found[0]


def _multiprocessing() -> int:
    child = multiprocessing.get_context("fork").Process(target=os._exit, args=(_LIVES_ON,))
    child.start()
    child.join()
    assert child.exitcode is not None
    return child.exitcode


def _at_once() -> int:
    """The parent terminates many children, most of them before they have run at all; return how they ended."""
    in_child.clear()
    ends = set()
    for _ in range(50):
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(5.0,))
        child.start()
        child.terminate()
        child.join()
        ends.add(child.exitcode)
    return -signal.SIGTERM if ends == {-signal.SIGTERM} else 0


def _preexec() -> int:
    """A program, with Python code between the fork and its start."""
    return subprocess.run(["true"], preexec_fn=int, check=False).returncode  # noqa: S607 - of any path


_WAYS: dict[str, Callable[[], int]] = {
    "fork": _fork,
    "thread": _fork_in_a_thread,
    "multiprocessing": _multiprocessing,
    "at_once": _at_once,
    "preexec": _preexec,
    "own": _fork,
}


def _handler(_number: int, _frame: FrameType | None) -> None:
    os._exit(1 if opened.jobs() else _HANDLED)


def child(spool: str, name_of_signal: str, way: str) -> None:
    """Make a child while a job is open; print how it ended, whether the job stops, and how many signals are blocked."""
    number = getattr(signal, name_of_signal)
    if way == "own":
        signal.signal(number, _handler)
    with _client(spool) as client, client.job("j") as job:
        in_child.append(number)
        ended = _WAYS[way]()
        in_child.clear()
        job.advance("issues")
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        sys.stdout.write(f"{ended} {job.should_stop} {len(blocked)}\n")


# --- an interrupt at any bytecode of a child's beginning --------------------------------------------------------------


def _fork_interrupted(moment: int, job: Job) -> int:
    """Send SIGINT at a bytecode of what the client does in a new child; return how the child ended."""
    parent, left = os.getpid(), moment

    def trace(frame: FrameType, event: str, _argument: object) -> Any:  # noqa: ANN401 - as `sys.settrace` has it
        nonlocal left
        if "tallymark" not in frame.f_code.co_filename:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode" and os.getpid() != parent:
            left -= 1
            if left == 0:
                signal.raise_signal(signal.SIGINT)
        return trace

    sys.settrace(trace)
    child = os.fork()
    sys.settrace(None)
    if not child:
        os._exit(_BEGUN if left > 0 else _RIGHT if _is_new(job) else 1)
    return _wait_for(child)


def _is_new(job: Job) -> bool:
    """Return whether this child has nothing of its parent's."""
    try:
        job.advance("issues")
    except RuntimeError:
        default = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        return default and not blocked and not opened.jobs() and not process.is_forking()
    return False


def interrupts(spool: str) -> None:
    """Fork until a child has begun before its interrupt; print how many there were, and those where it was wrong."""
    with _client(spool) as client, client.job("j") as job:
        wrong, moment, ended = [], 0, 0
        while ended != _BEGUN:
            moment += 1
            ended = _fork_interrupted(moment, job)
            if ended not in {_RIGHT, _BEGUN}:
                wrong.append(f"{moment}:{ended}")
    sys.stdout.write(" ".join([str(moment), *wrong]))


# --- the parent gets a signal -----------------------------------------------------------------------------------------


def parent(spool: str) -> None:
    """Fork in a loop, and get SIGTERM meanwhile; print how the job has ended, and whether this process goes on."""
    try:
        with _client(spool) as client, client.job("j") as job:
            for number in job.track(range(10**9), type="issues", bar=False):
                in_parent[:] = [signal.SIGTERM] if number == 5 else []
                assert _fork() == _LIVES_ON
        sys.stdout.write("goes on ")
    finally:
        for path in Path(spool).glob("*.sqlite3"):
            with closing(sqlite3.connect(path)) as database:
                *_, last = database.execute("SELECT payload FROM waiting ORDER BY seq")
            sys.stdout.write(json.loads(last[0])["status"] + "\n")
            sys.stdout.flush()


SCRIPTS: dict[str, Callable[..., None]] = {"child": child, "interrupts": interrupts, "parent": parent}

if __name__ == "__main__":
    SCRIPTS[sys.argv[1]](*sys.argv[2:])
