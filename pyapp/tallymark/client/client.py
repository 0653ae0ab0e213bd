"""The entry point for crawlers: `ProgressClient`."""

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
    """Reports on jobs to a server. One client per process, made after any fork; safe across threads.

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
        alive_every: float | None = 30.0,
        transport: Transport | None = None,
    ) -> None:
        """Prepare the client; nothing is connected yet.

        Args:
            base_url: The server, such as `http://127.0.0.1:8000`.
            token: A token with the scope `write`.
            spool: The directory that keeps updates until the server has them, with a file per job. None keeps them in
                memory, where a kill loses them.
            every_items: An update is sent after this many items (10 to 50 are good) ...
            every_seconds: ... or after this many seconds, and never more often than ten times a second.
            max_bytes: The approximate size of the largest update.
            spool_limit: How many updates of a job may wait. Further counts are added to the last of them.
            retries: How often a failed request is repeated before the server counts as away.
            timeout: Seconds that a request may take.
            start_timeout: Seconds that the start of a job waits for the server.
            end_timeout: Seconds that the end of a job waits for the server.
            alive_every: A job without reports for so many seconds gives a sign of life, and hears commands by it; None
                gives none. With more than 600 open jobs the signs are further apart.
            transport: Replaces HTTP.

        Raises:
            ValueError: An argument is out of its range.
        """
        if alive_every is not None and not alive_every > 0:
            raise ValueError("alive_every must be above 0, or None")
        if every_items < 1 or every_seconds <= 0 or max_bytes < 1 or spool_limit < 1 or retries < 0 or timeout <= 0:
            raise ValueError(
                "every_items, every_seconds, max_bytes, spool_limit and timeout must be above 0, and retries at least 0"
            )
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
            alive_every=alive_every,
        )
        self._pid = current.pid
        # When the interpreter ends normally, reports that were not sent go to the spool.
        # Weak, and without a callback: an interrupt in a callback that garbage collection runs would be lost.
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
        """Return a job to report on. It is not started yet: use it in a `with` block.

        Args:
            job_id: The job's id.
            worker: The name of this process where several report on the job. It must stay the same after a restart.
            register: Whether to register the job if the server does not know it.
            attributes: The attributes to register it with.
            on_command: Called with an operator's command, `pause`, `cancel` or `resume`, in a thread of the client.

        Returns:
            The job.

        Raises:
            TypeError: An id is not text, or the attributes are not JSON.
            ValueError: An id cannot be stored in PostgreSQL, or a number in the attributes is not finite.
            RuntimeError: The client was made before a fork.
        """
        self._check_process()
        if not isinstance(job_id, str) or not isinstance(worker, str | None):  # type: ignore[redundant-expr]
            raise TypeError("the id of a job and the name of a worker must be text")
        if not job_id or clean(job_id) != job_id or clean(worker or "") != (worker or ""):
            raise ValueError("ids must have no NUL and no unpaired surrogates, and the id of a job must not be empty")
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
        """Whether the server does not answer, or does not accept the token."""
        self._check_process()
        return self._sender.is_away

    def close(self, timeout: float | None = None) -> None:
        """Deliver what can be delivered, then end. Open jobs report no end, so that a later run can continue them.

        Args:
            timeout: Seconds to wait at most; `end_timeout` if None.
        """
        self._check_process()
        for job in self._sender.channels.users():
            try:
                job.put_away()
            except Exception:  # noqa: BLE001 - the other jobs are closed nevertheless
                _log.exception("job %s: the last reports could not be put into the outbox and may be lost", job.id)
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
