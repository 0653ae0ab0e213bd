"""The queue before all routes: a limited number of requests is worked on at once, in the order in which they came.

The server has more threads than it should work on requests with, because a request mostly waits: for its body, for the
database, for the next event of a stream. If all threads worked at once, they would compete for Python's lock, and the
slowest answers would get much slower. So a request needs a turn while it works, and has none while it waits.

If too many requests wait for a turn, or one waits for too long, it is answered 503 at once. A crawler does better to
come back after a few seconds than to wait without end, and the server does no work that nobody waits for any more.
"""

import json
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


#: Paths that never wait: a monitor must not take a busy process for a dead one, and wants to see how busy it is.
_EXEMPT = frozenset({"/healthz", "/metrics"})
#: The range of Retry-After, which is random so that rejected clients do not all come back at once.
_RETRY_SECONDS = (1, 5)
#: How many requests are rejected at once, each after so many seconds. Otherwise hundreds of threads compete for
#: Python's lock with the few that work: from 1,200 connections that came back at once, a third as many were merged.
_REJECTING, _REJECTING_PAUSE = 3, 0.001
_UNAVAILABLE = f"{HTTPStatus.SERVICE_UNAVAILABLE.value} {HTTPStatus.SERVICE_UNAVAILABLE.phrase}"
#: The one answer to all of them, made once, since there may be many.
_PROBLEM = json.dumps(
    {
        "type": "about:blank",
        "title": HTTPStatus.SERVICE_UNAVAILABLE.phrase,
        "status": HTTPStatus.SERVICE_UNAVAILABLE.value,
        "detail": "Too many requests are waiting. Nothing was changed. Send the request again later.",
        "error": "Server busy",
        "details": [],
    }
).encode()


class AdmissionQueue:
    """Admits a limited number of threads at once, in the order in which they came.

    `with queue:` waits for a turn without limit; `enter` may be rejected. `rejected` counts how often it was. A thread
    has at most one turn: asking for another one while it has one changes nothing, and neither does a second `leave`.
    """

    def __init__(self, limit: int, *, max_waiting: int | None = None, max_wait: float = -1) -> None:
        """`max_waiting` limits how many wait, and `max_wait` for how many seconds each does; None and -1 do not."""
        self.rejected = 0
        self._free = limit
        self._max_waiting = max_waiting
        self._max_wait = max_wait
        self._lock = Lock()
        self._waiting: deque[Lock] = deque()
        self._on_first: Callable[[], None] | None = None
        self._mine = threading.local()

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._waiting)

    def on_first_entry(self, act: Callable[[], None]) -> None:
        """Call a function when the first request comes, which is after this process was forked."""
        self._on_first = act

    def enter(self) -> bool:
        """Wait for a turn, and return whether it was given; if so, `leave` must be called."""
        if self._on_first is not None:
            act, self._on_first = self._on_first, None
            act()
        with self._lock:
            if self._free:
                self._free -= 1
                self._mine.turn = True
                return True
            if self._max_waiting is not None and len(self._waiting) >= self._max_waiting:
                self.rejected += 1
                return False
            turn = self._line_up()
        if turn.acquire(timeout=self._max_wait):
            self._mine.turn = True
            return True
        with self._lock:
            if turn not in self._waiting:
                self._mine.turn = True
                return True  # the turn was given between the timeout and this look
            self._waiting.remove(turn)
            self.rejected += 1
        return False

    def leave(self) -> None:
        """Hand the turn to the thread that has waited for longest; one that comes just now cannot overtake it."""
        if not self._has_turn():
            return
        self._mine.turn = False
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1

    def resume(self) -> None:
        """Wait for a turn before all others: for a request that has given its turn back while it waited."""
        self._wait_for_turn(first=True)

    def wake(self, sleepers: Sequence[Lock]) -> None:
        """Wake threads, each by its lock and with a turn, in this order and before all others.

        Each of them must call `woken`. Woken all at once, they would compete for Python's lock.
        """
        with self._lock:
            for sleeper in sleepers[: self._free]:
                sleeper.release()
            at_once = min(self._free, len(sleepers))
            self._free -= at_once
            self._waiting.extendleft(reversed(sleepers[at_once:]))

    def woken(self) -> None:
        """Note that this thread was woken with a turn."""
        self._mine.turn = True

    @contextmanager
    def outside(self) -> Iterator[None]:
        """Give the thread's turn back for the block, which waits for somebody else; then go on before all others."""
        if not self._has_turn():
            yield
            return
        self.leave()
        try:
            yield
        finally:
            self.resume()

    def __enter__(self) -> None:
        """Wait for a turn without limit."""
        self._wait_for_turn(first=False)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave."""
        self.leave()

    def _has_turn(self) -> bool:
        return getattr(self._mine, "turn", False)

    def _wait_for_turn(self, *, first: bool) -> None:
        if self._has_turn():
            return
        with self._lock:
            if self._free:
                self._free -= 1
                turn = None
            else:
                turn = self._line_up(first=first)
        if turn is not None:
            turn.acquire()
        self._mine.turn = True

    def _line_up(self, *, first: bool = False) -> Lock:
        turn = Lock()
        turn.acquire()
        if first:
            self._waiting.appendleft(turn)
        else:
            self._waiting.append(turn)
        return turn


class QueuedApp:
    """A WSGI application behind a queue. What a body yields later, as a stream does, needs no turn."""

    def __init__(
        self,
        app: "WSGIApplication",
        queue: AdmissionQueue,
        before: "Callable[[WSGIEnvironment], bool]",
        discard: "Callable[[WSGIEnvironment], None]",
    ) -> None:
        """Put a queue before an application.

        Args:
            app: The application.
            queue: Where requests wait for their turn.
            before: Called for each POST, without a turn: it may read the body, and returns whether the request may go
                on. One that may not is rejected.
            discard: Reads the body of a request that is rejected.
        """
        self._app = app
        self._queue = queue
        self._before = before
        self._discard = discard
        self._rejecting = AdmissionQueue(_REJECTING)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer a request when it has its turn, or reject it."""
        if environ["PATH_INFO"] in _EXEMPT:
            return self._app(environ, start_response)
        may_go_on = self._before(environ) if environ["REQUEST_METHOD"] == "POST" else True
        if not (may_go_on and self._queue.enter()):
            # A server takes unread bytes for the connection's next request, or closes the connection.
            self._discard(environ)
            with self._rejecting:
                time.sleep(_REJECTING_PAUSE)
                return _reject(environ, start_response)
        try:
            return self._app(environ, start_response)
        finally:
            self._queue.leave()


def _reject(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    wait = str(random.randint(*_RETRY_SECONDS))  # noqa: S311 - spreads load
    headers = [
        ("Content-Type", "application/problem+json"),
        ("Content-Length", str(len(_PROBLEM))),
        ("Retry-After", wait),
    ]
    start_response(_UNAVAILABLE, headers)
    return [b"" if environ["REQUEST_METHOD"] == "HEAD" else _PROBLEM]
