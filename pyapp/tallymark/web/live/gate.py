"""Who works at once: so many requests, in the order in which they came.

The server has a thread for each stream beside those for requests, and streams mostly sleep. Were all these threads let
loose on requests, they would take turns in Python in no order at all, and the slowest answers would get much slower.
So a request waits here for its turn. A stream passes through like any request while it is opened; while it is open it
counts elsewhere, and takes a turn only for what it asks of the database.
"""

from collections import deque
from collections.abc import Iterable
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


#: Who watches over the process must not take a busy one for a dead one.
_ALWAYS = "/healthz"


class Gate:
    """Lets so many in at once, who came first first; a context manager."""

    def __init__(self, most: int) -> None:
        """Open it.

        Args:
            most: How many are let in at once.
        """
        self._free = most
        self._lock = Lock()
        self._waiting: deque[Lock] = deque()

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._waiting)

    def __enter__(self) -> None:
        """Wait for a turn."""
        with self._lock:
            if self._free:
                self._free -= 1
                return
            turn = Lock()
            turn.acquire()
            self._waiting.append(turn)
        turn.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Hand the turn to who has waited for longest; nobody who comes just now gets ahead of them."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1


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
        """Answer a request when it is its turn; at once where it asks whether this process is up."""
        if environ["PATH_INFO"] == _ALWAYS:
            return self._app(environ, start_response)
        with self._gate:
            return self._app(environ, start_response)
