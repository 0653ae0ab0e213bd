"""Guards against forks: what was made before a fork is never used, flushed or closed in the child.

The child has none of the client's threads, locks may be held by threads that do not exist there, and its SQLite
connections claim a file lock that belongs to the parent. SQLite has locks of its own, for the whole process. A child
could never use SQLite if another thread held one of them during the fork, so a fork waits until no thread works in it.

A signal that a child gets in the moment of its fork waits until the child has forgotten what is its parent's. Python
drops one that comes at once, and what a handler raises during a fork is lost: the child would ignore the signal. Or an
exception would cut short what the child has to forget.
"""

import ctypes
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import NoReturn

#: How long a fork waits for the threads that work in SQLite, and they for it: a disk may hang.
_PATIENCE_SECONDS = 2.0


class InheritedError(RuntimeError):
    """A client or job that was made before a fork is used in the child."""

    def __init__(self, made_in: int) -> None:
        super().__init__(
            f"this client was made in process {made_in}, and this is process {os.getpid()}:"
            " make a ProgressClient after the fork"
        )


# --- forks and signals ------------------------------------------------------------------------------------------------

#: All that a handler may be called for at any time; not what a fault in the program causes, which cannot wait.
_FAULTS = ("SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV", "SIGSYS", "SIGTRAP")
_CAN_WAIT = signal.valid_signals() - {getattr(signal, name) for name in _FAULTS if hasattr(signal, name)}
#: The signals that were blocked before, by the thread that forks.
_masks: dict[int, Iterable[int]] = {}
_in_child: list[Callable[[], object]] = []


def in_child(forget: Callable[[], object]) -> None:
    """Call a function in each child of a fork, before the child gets any signal. It must not raise."""
    _in_child.append(forget)


def is_forking() -> bool:
    """Return whether this thread forks at this moment: an exception would be lost."""
    return threading.get_ident() in _masks


def _hold_signals() -> None:
    me = threading.get_ident()
    # First: an exception of a handler may come between the two lines.
    _masks[me] = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    signal.pthread_sigmask(signal.SIG_BLOCK, _CAN_WAIT)


def _take_signals() -> None:
    me = threading.get_ident()
    if (before := _masks.get(me)) is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        _masks.pop(me, None)


def _begin_child() -> None:
    try:
        for forget in _in_child:
            forget()
    finally:
        before = _masks.get(threading.get_ident())
        _masks.clear()
        if before is not None:
            # The last step: a handler may raise an exception here.
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _at_fork(**calls: Callable[[], object]) -> None:
    """Have functions called at each fork: see `os.register_at_fork`. Windows has no forks."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(**calls)


# Here, because what is registered first is called last before a fork: the waits below are not affected.
_at_fork(before=_hold_signals, after_in_parent=_take_signals, after_in_child=_begin_child)
# Again: another thread may have got a signal, whose handler raises an exception in the place of the first call.
_at_fork(after_in_parent=_take_signals)


class _Current:
    """The id of this process, read ten times as fast as by `os.getpid`."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        in_child(self.look)

    def look(self) -> None:
        self.pid = os.getpid()


current = _Current()


def never_free(kept: object) -> None:
    """Keep an object until the process ends, even while the interpreter shuts down."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))


def end_child(error: BaseException | None) -> NoReturn:
    """End the child of a fork in a thread of the client, after the crawler's code there has returned or raised."""
    code: object = 0
    if isinstance(error, SystemExit):
        code = error.code or 0
    elif error is not None:
        traceback.print_exception(error)
        code = 1
    if not isinstance(code, int):
        sys.stderr.write(f"{code}\n")
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code & 0xFF)


# --- SQLite and forks -------------------------------------------------------------------------------------------------

#: How deep each thread is in `without_fork`, and the forks at this moment.
_inside: dict[int, int] = {}
_forks: list[None] = []


@contextmanager
def without_fork() -> Iterator[None]:
    """Work in SQLite while no other thread forks."""
    me = threading.get_ident()
    depth = _inside.get(me, 0)
    _inside[me] = depth + 1
    try:
        if not depth:
            _give_way(me)
        yield
    finally:
        if depth:
            _inside[me] = depth
        else:
            _inside.pop(me, None)


def _give_way(me: int) -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    while _forks and time.monotonic() < until:
        _inside.pop(me, None)
        time.sleep(0.001)
        _inside[me] = 1


def _wait_for_others() -> None:
    me, until = threading.get_ident(), time.monotonic() + _PATIENCE_SECONDS
    while any(thread != me for thread in list(_inside)) and time.monotonic() < until:
        time.sleep(0.0005)


# Called in the reverse order. No signal handler can interrupt `append` and `pop`, which are in C.
_at_fork(before=_wait_for_others)
_at_fork(before=partial(_forks.append, None), after_in_parent=_forks.pop)
in_child(_forks.clear)
in_child(_inside.clear)
