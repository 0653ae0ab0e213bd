"""SIGTERM and SIGHUP end the open jobs as `paused`, as Ctrl-C does, and the process as they would without Tallymark.

While a job that was started in the main thread is open, a handler of ours replaces the default, or wraps the crawl's
own. It makes `should_stop` true, so `track` ends its loop, and what leaves its block reports `paused`. Then

- the crawl's own handler is called, and decides about all else;
- or, where the default would end the process, `Terminated` is raised in the main thread, as Ctrl-C raises
  KeyboardInterrupt: blocks and files are closed. Where asyncio runs, its loop raises it, which cancels the tasks.
  The last thing that the process does is to send itself the same signal, so that it ends as by the default.

An exception can be lost: in a `__del__`, in a bare `except:`, or in a main thread that waits for others. If a job is
still open after 5 seconds, a thread ends the jobs as `paused`, and the process. A signal that is ignored stays ignored.

In a handler nothing is locked or logged, and no thread is waited for: the main thread may be anywhere.
"""

import _thread
import asyncio
import ctypes
import gc
import io
import logging
import math
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from tallymark.client import opened
from tallymark.client.process import current, in_child, is_forking

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger("tallymark.client")

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
#: Less than what supervisors wait before they kill: Docker 10 s, Kubernetes 30 s, systemd 90 s.
_PATIENCE_SECONDS = 5.0
_FLUSH_SECONDS = 1.0
#: A second signal so soon after the first is the same request.
_TWICE_SECONDS = 1.0
#: The exit status of a process that a signal ended is this and the signal's number.
_BY_SIGNAL = 128


class Terminated(SystemExit):
    """A signal asked this process to end. Raised in the main thread, as KeyboardInterrupt is."""

    def __init__(self, number: int) -> None:
        super().__init__(_BY_SIGNAL + number)


class _Last:
    """Sends this process a signal when the interpreter has ended: files are closed, and the default is in force."""

    def __init__(self, number: int) -> None:
        self._kill: Callable[[int, int], None] = os.kill
        self._getpid: Callable[[], int] = os.getpid
        self._pid, self._number = os.getpid(), number

    def __del__(self) -> None:
        # What is left of the modules by now cannot be relied on. A child of a fork ends as it wants to.
        if self._getpid() == self._pid:
            self._kill(self._pid, self._number)


class _Guard:
    """The handlers of this process."""

    def __init__(self) -> None:
        #: The handlers in whose place ours is.
        self._before: dict[int, Any] = {}
        #: The code in which an exception must wait for its end: a job's end is not to be lost.
        self._unbroken: set[CodeType] = set()
        self._waiting: Terminated | None = None
        #: When a signal began to end this process; monotonic, in seconds.
        self._asked_at = -math.inf
        # One object, to be recognized.
        self._handler = self._handle

    def keep_whole(self, *functions: Any) -> None:  # noqa: ANN401 - functions of any kind
        """Raise no exception in these functions: they call `raise_waiting` at their end."""
        self._unbroken.update(function.__code__ for function in functions)

    def install(self) -> None:
        """Take the place of the handlers, if this is the main thread."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in _SIGNALS:
            before = signal.getsignal(number)
            # None: it is not Python's.
            if before is None or before is signal.SIG_IGN or before is self._handler:
                continue
            self._before[number] = before
            signal.signal(number, self._handler)

    def settle(self) -> None:
        """Restore the handlers if no job is open any more, and this is the main thread.

        They stay while the process ends: many supervisors send a signal twice, to the process and to its group, and the
        second one must not end it before its files are closed.
        """
        if threading.current_thread() is not threading.main_thread() or any(job.heeds_signals for job in opened.jobs()):
            return
        if self._is_ending:
            return
        for number, before in list(self._before.items()):
            # The crawl may have set another one meanwhile.
            if signal.getsignal(number) is self._handler:
                signal.signal(number, before)
            self._before.pop(number, None)

    def raise_waiting(self) -> None:
        """Raise what a signal wanted to raise while that could not be."""
        if self._waiting is not None and threading.current_thread() is threading.main_thread():
            waiting, self._waiting = self._waiting, None
            raise waiting

    def _handle(self, number: int, frame: FrameType | None) -> None:
        before = self._before.get(number, signal.SIG_DFL)
        heeding = [job for job in opened.jobs() if job.heeds_signals]
        for job in heeding:
            job.ask_to_stop(signal.Signals(number).name)
        if callable(before):
            before(number, frame)
        elif not heeding and not self._is_ending:
            # The last job ended in another thread, which could not restore the default, or some time ago.
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        elif heeding and time.monotonic() - self._asked_at > _TWICE_SECONDS:
            self._end(number, frame)

    @property
    def _is_ending(self) -> bool:
        return time.monotonic() - self._asked_at < _PATIENCE_SECONDS

    def _end(self, number: int, frame: FrameType | None) -> None:
        is_first = not self._is_ending
        if is_first:
            self._asked_at = time.monotonic()
            sys.__dict__["_tallymark_last"] = _Last(number)
            with suppress(RuntimeError):
                # Not `threading.Thread`, whose lock the main thread may hold.
                _thread.start_new_thread(self._see_to_it, (number,))
        terminated = Terminated(number)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        if loop is not None:
            # An exception in the middle of the loop's own work would damage it.
            loop.call_soon_threadsafe(_throw, terminated)
        elif is_first and (self._is_unbroken(frame) or is_forking()):
            self._waiting = terminated
        else:
            raise terminated

    def _is_unbroken(self, frame: FrameType | None) -> bool:
        while frame is not None:
            if frame.f_code in self._unbroken:
                return True
            frame = frame.f_back
        return False

    def _see_to_it(self, number: int) -> None:
        """End the jobs, and the process, if the crawl has not ended them by itself."""
        pid = current.pid
        time.sleep(_PATIENCE_SECONDS)
        heeding = [job for job in opened.jobs() if job.heeds_signals]
        if not heeding or current.pid != pid:
            return
        name = signal.Signals(number).name
        _log.warning("the crawl has not ended %.0f s after %s: its jobs are paused now", _PATIENCE_SECONDS, name)
        for job in heeding:
            try:
                job.end_interrupted(name)
            except Exception:  # noqa: BLE001 - the other jobs are ended nevertheless
                _log.exception("job %s: its end could not be reported", job.id)
        flushing = threading.Thread(target=_flush_files, daemon=True)
        flushing.start()
        flushing.join(_FLUSH_SECONDS)
        _die(number)

    def forget(self) -> None:
        """Restore the handlers in the child of a fork: its parent's jobs are not its own."""
        before, self._before = self._before, {}
        self._waiting, self._asked_at = None, -math.inf
        for number, handler in before.items():
            # The thread that forks is the main thread of the child.
            if signal.getsignal(number) is self._handler:
                signal.signal(number, handler)


def _throw(error: BaseException) -> NoReturn:
    raise error


def _flush_files() -> None:
    """Write what files have in their buffers: those items count already."""
    for kept in gc.get_objects():
        with suppress(Exception):
            if isinstance(kept, io.IOBase) and not kept.closed:
                kept.flush()


def _die(number: int) -> NoReturn:
    """End this process by a signal, in a thread, where Python cannot restore the default."""
    with suppress(Exception):
        ctypes.CDLL(None).signal(number, None)
        os.kill(os.getpid(), number)
        time.sleep(_FLUSH_SECONDS)
    # The first process of a container cannot end itself by a signal.
    os._exit(_BY_SIGNAL + number)


guard = _Guard()
in_child(guard.forget)
