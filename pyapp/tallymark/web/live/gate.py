"""Who works at once: so many requests, in the order in which they came.

The server has a thread for each stream beside those for requests, and streams mostly sleep. Were all these threads let
loose on requests, they would take turns in Python in no order at all, and the slowest answers would get much slower.
So a request waits here for its turn. A stream passes through like any request while it is opened; while it is open it
counts elsewhere, and takes a turn only for what it asks of the database.

Where too many wait, or one for too long, the request is answered 503 at once: a crawler that is told to come back in a
few seconds is better off than one that waits without end, and the server does no work that nobody waits for any more.
"""

import json
import random
from collections import deque
from collections.abc import Callable, Iterable
from http import HTTPStatus
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


#: Who watches over the process must not take a busy one for a dead one, and wants to know how busy it is.
_ALWAYS = frozenset({"/healthz", "/metrics"})
#: Those who are turned away come back spread over so many seconds.
_RETRY_SECONDS = (1, 5)
_MOST_READ = 65_536
_UNAVAILABLE = f"{HTTPStatus.SERVICE_UNAVAILABLE.value} {HTTPStatus.SERVICE_UNAVAILABLE.phrase}"
#: The same for all, since there are many of them, and as all other problems are written.
_PROBLEM = json.dumps(
    {
        "type": "about:blank",
        "title": HTTPStatus.SERVICE_UNAVAILABLE.phrase,
        "status": HTTPStatus.SERVICE_UNAVAILABLE.value,
        "detail": "More requests wait for their turn than are answered soon. Nothing was done: send it again later.",
        "error": "Server busy",
        "details": [],
    }
).encode()


class Gate:
    """Lets so many in at once, who came first first; a context manager for those who wait however long it takes.

    Attributes:
        turned_away: How many were turned away.
    """

    def __init__(self, most: int, *, most_waiting: int | None = None, longest_wait: float = -1) -> None:
        """Open it.

        Args:
            most: How many are let in at once.
            most_waiting: How many may wait; those who come then are turned away. None is any number.
            longest_wait: For how many seconds each of them may; -1 is for ever.
        """
        self.turned_away = 0
        self._free = most
        self._most_waiting = most_waiting
        self._longest_wait = longest_wait
        self._lock = Lock()
        self._waiting: deque[Lock] = deque()
        self._first: Callable[[], None] | None = None

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._waiting)

    def when_entered_first(self, act: Callable[[], None]) -> None:
        """Have something done when somebody comes for the first time: not before this process was forked.

        Args:
            act: What to do.
        """
        self._first = act

    def enter(self) -> bool:
        """Wait for a turn, if it does not take too long.

        Returns:
            Whether it is ours; then `leave` is to be called. False where the caller was turned away.
        """
        if self._first is not None:
            act, self._first = self._first, None
            act()
        with self._lock:
            if self._free:
                self._free -= 1
                return True
            if self._most_waiting is not None and len(self._waiting) >= self._most_waiting:
                self.turned_away += 1
                return False
            turn = self._line_up()
        if turn.acquire(timeout=self._longest_wait):
            return True
        with self._lock:
            if turn not in self._waiting:
                return True  # it has been handed to us just now
            self._waiting.remove(turn)
            self.turned_away += 1
        return False

    def leave(self) -> None:
        """Hand the turn to who has waited for longest; nobody who comes just now gets ahead of them."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1

    def __enter__(self) -> None:
        """Wait for a turn, however long it takes."""
        with self._lock:
            if self._free:
                self._free -= 1
                return
            turn = self._line_up()
        turn.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave."""
        self.leave()

    def _line_up(self) -> Lock:
        turn = Lock()
        turn.acquire()
        self._waiting.append(turn)
        return turn


class GatedApp:
    """An application behind a gate. What an answer yields later, as a stream does, is outside of it."""

    def __init__(self, app: "WSGIApplication", gate: Gate) -> None:
        """Put it there.

        Args:
            app: The application.
            gate: The gate.
        """
        self._app = app
        self._gate = gate

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer a request when it is its turn; at once where it asks whether this process is up, or is turned away."""
        if environ["PATH_INFO"] in _ALWAYS:
            return self._app(environ, start_response)
        if not self._gate.enter():
            return _turn_away(environ, start_response)
        try:
            return self._app(environ, start_response)
        finally:
            self._gate.leave()


def _turn_away(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    # What is left unread would be taken for the next request of the connection, or would close it.
    if environ.get("CONTENT_LENGTH") not in {None, "", "0"}:
        environ["wsgi.input"].read(_MOST_READ)
    wait = str(random.randint(*_RETRY_SECONDS))  # noqa: S311 - spreads load
    headers = [
        ("Content-Type", "application/problem+json"),
        ("Content-Length", str(len(_PROBLEM))),
        ("Retry-After", wait),
    ]
    start_response(_UNAVAILABLE, headers)
    return [b"" if environ["REQUEST_METHOD"] == "HEAD" else _PROBLEM]
