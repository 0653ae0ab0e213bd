"""The client: where crawlers begin."""

import atexit
import json
import logging
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tallymark.client.job import Job
from tallymark.client.process import InheritedError, current
from tallymark.client.records import Position
from tallymark.client.resume import Habits
from tallymark.client.sender import Sender
from tallymark.client.spool import Spool
from tallymark.client.transport import HttpTransport, Transport
from tallymark.client.updates import clean

_log = logging.getLogger("tallymark.client")


class ProgressClient:
    """Reports on jobs to a server. One for a process; safe across threads, not across forks: make it after them.

    >>> with ProgressClient("http://127.0.0.1:8000", token="...", spool="spool") as client, client.job("job_1") as job:
    ...     for issue in job.track(issues, type="issues", id=lambda issue: issue.id):
    ...         ...
    """

    def __init__(
        self,
        base_url: str,
        *,
        token: str,
        spool: str | PathLike[str] | None = None,
        every_items: int = 50,
        every_seconds: float = 1.0,
        max_bytes: int = 9000,
        spool_limit: int = 10_000,
        retries: int = 3,
        timeout: float = 30.0,
        start_timeout: float = 10.0,
        end_timeout: float = 15.0,
        transport: Transport | None = None,
    ) -> None:
        """Connect to nothing yet.

        Args:
            base_url: The server, such as `http://127.0.0.1:8000`.
            token: One that may write.
            spool: A directory for what waits for the server, with a file a job. None keeps it in memory, where a kill
                ends it.
            every_items: After how many items an update goes out, 10 to 50 are good...
            every_seconds: ... or after how many seconds; never more than ten a second.
            max_bytes: About how large an update gets.
            spool_limit: How many updates of a job may wait; further counts go into the last of them.
            retries: How often a request is tried again before the server counts as away.
            timeout: Seconds for a request.
            start_timeout: Seconds for which the start of a job waits for the server.
            end_timeout: Seconds for which its end does.
            transport: Something else than HTTP.

        Raises:
            ValueError: An argument cannot be used.
        """
        if every_items < 1 or every_seconds <= 0 or max_bytes < 1 or spool_limit < 1 or retries < 0 or timeout <= 0:
            raise ValueError("every_items, every_seconds, max_bytes, spool_limit and timeout must be positive")
        self._habits = Habits(
            every_items=every_items,
            every_seconds=every_seconds,
            max_bytes=max_bytes,
            start_timeout=start_timeout,
            end_timeout=end_timeout,
        )
        self._end_timeout = end_timeout
        self._sender = Sender(
            transport or HttpTransport(base_url, token),
            Spool(Path(spool) if spool is not None else None, limit=spool_limit),
            retries=retries,
            timeout=timeout,
            tick=min(0.25, every_seconds / 4),
        )
        self._pid = current.pid
        # What was said and not sent goes to the spool when the interpreter ends in the ordinary way.
        # Weak, and without a callback: an interrupt in one that garbage collection calls would be lost.
        self._at_exit = partial(_close_what_is_left, weakref.ref(self))
        atexit.register(self._at_exit)

    def job(
        self,
        job_id: str,
        *,
        worker: str | None = None,
        register: bool = True,
        attributes: Mapping[str, Any] | None = None,
        on_command: Callable[[str], object] | None = None,
    ) -> Job:
        """Return a job to report on, which is not started yet: use it in a `with`.

        Args:
            job_id: The job.
            worker: Which worker of it this is, where several processes report on it; the same name after a restart.
            register: Whether to register it where the server does not know it.
            attributes: With these: the registrar's own.
            on_command: Called with pause, cancel or resume, in the client's thread, when an operator asks for it.

        Returns:
            The job.

        Raises:
            TypeError: The id is no text, the attributes are no JSON.
            ValueError: They cannot be used.
        """
        self._check_process()
        if not isinstance(job_id, str) or not isinstance(worker, str | None):  # type: ignore[redundant-expr]
            raise TypeError("the ids of jobs and workers are text")
        if not job_id or clean(job_id) != job_id or clean(worker or "") != (worker or ""):
            raise ValueError("the id of a job or a worker is text that UTF-8 and PostgreSQL can hold")
        if attributes is not None:
            attributes = clean(attributes)
            json.dumps(attributes, allow_nan=False)
        position = Position(job_id, worker, register, dict(attributes) if attributes else None)
        return Job(self, self._sender, self._habits, position, on_command)

    @property
    def undelivered(self) -> int:
        """How many updates wait for the server."""
        self._check_process()
        return self._sender.waiting()

    @property
    def is_away(self) -> bool:
        """Whether the server does not answer."""
        self._check_process()
        return self._sender.is_away

    def close(self, timeout: float | None = None) -> None:
        """Deliver what can be delivered, and end. Jobs that are open stay as they are, for a restart.

        Args:
            timeout: Seconds, at most; as long as the end of a job may take, when not given.
        """
        self._check_process()
        for job in self._sender.channels.users():
            try:
                job.put_away()
            except Exception:  # noqa: BLE001 - the other jobs are put away all the same
                _log.exception("job %s: what was said last cannot be written", job.id)
        atexit.unregister(self._at_exit)
        self._sender.close(self._end_timeout if timeout is None else timeout)

    def _check_process(self) -> None:
        if self._pid != current.pid:
            raise InheritedError(self._pid)

    def __enter__(self) -> Self:
        self._check_process()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._pid == current.pid:
            self.close()


def _close_what_is_left(client: "weakref.ref[ProgressClient]") -> None:
    if (left := client()) is not None:
        left.__exit__(None, None, None)
