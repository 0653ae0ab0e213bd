"""The entry point for crawlers: `ProgressClient`."""

import atexit
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from tallymark.client.aside import to_its_end
from tallymark.client.checks import (
    JOB_ID,
    MOST_UPDATE_BYTES,
    WORKER,
    as_attributes,
    as_positive,
    as_seconds,
    check_callable,
    check_id,
)
from tallymark.client.failure import is_interrupt, name_of_interrupt
from tallymark.client.job import Job
from tallymark.client.log import log as _log
from tallymark.client.process import InheritedError, current
from tallymark.client.records import Position
from tallymark.client.resume import Habits
from tallymark.client.sender import Sender
from tallymark.client.spool import Spool
from tallymark.client.transport import HttpTransport, Transport


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
        on_sigterm: Literal["pause"] | None = "pause",
        alive_every: float | None = 30.0,
        proxy: str | None = None,
        transport: Transport | None = None,
    ) -> None:
        """Prepare the client; nothing is connected yet.

        Args:
            base_url: The server, such as `http://127.0.0.1:8000`.
            token: A token with the scope `write`.
            spool: The directory that keeps updates until the server has them, with a file per job. None keeps them in
                memory, where a kill loses them. A relative one is below the working directory of this moment.
            every_items: An update is sent after this many items (10 to 50 are good) ...
            every_seconds: ... or after this many seconds, and never more often than ten times a second.
            max_bytes: The approximate size of the largest update, at most 256 KB.
            spool_limit: How many updates of a job may wait. Further counts are added to the last of them.
            retries: How often a failed request is repeated before the server counts as away.
            timeout: Seconds that a request may take, from the connection to the last byte of the answer.
            start_timeout: Seconds that the start of a job waits for the server.
            end_timeout: Seconds that the end of a job waits for the server.
            on_sigterm: With `pause`, SIGTERM and SIGHUP end the jobs that are open as paused, and then the process, as
                they would without the client: by an exception in the main thread, as Ctrl-C does, or after 5 seconds
                at the latest. A handler that the crawl has set before the job starts is called instead, and decides
                when the process ends; a signal that it ignores stays ignored. Handlers are set by a job that is started
                in the main thread, and restored when the last one ends. With None, signals are left alone.
            alive_every: After so many seconds without a report, a job gives a sign of life, and receives commands in
                the answer. None turns that off. With more than 600 open jobs the signs are further apart.
            proxy: The address of a proxy, such as `http://proxy:3128`. If None, as the environment says, by
                HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY; an empty text for none. The certificates that are
                trusted are those of REQUESTS_CA_BUNDLE or SSL_CERT_FILE.
            transport: Replaces HTTP.

        Raises:
            TypeError: An argument has the wrong type.
            ValueError: An argument is out of its range.
        """
        if on_sigterm not in {"pause", None}:
            raise ValueError("on_sigterm must be 'pause' or None")
        self._habits = Habits(
            every_items=as_positive("every_items", every_items),
            every_seconds=as_seconds("every_seconds", every_seconds, above_zero=True),
            max_bytes=as_positive("max_bytes", max_bytes, MOST_UPDATE_BYTES),
            start_timeout=as_seconds("start_timeout", start_timeout),
            end_timeout=as_seconds("end_timeout", end_timeout),
            heeds_signals=on_sigterm is not None,
        )
        self._sender = Sender(
            transport or HttpTransport(base_url, token, proxy=proxy),
            Spool(Path(spool) if spool is not None else None, limit=as_positive("spool_limit", spool_limit)),
            retries=as_positive("retries", retries, least=0),
            timeout=as_seconds("timeout", timeout, above_zero=True),
            tick=min(0.25, self._habits.every_seconds / 4),
            alive_every=None if alive_every is None else as_seconds("alive_every", alive_every, above_zero=True),
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
        parent: str | None = None,
        on_command: Callable[[str], object] | None = None,
    ) -> Job:
        """Return a job to report on. It is not started yet: use it in a `with` block.

        Args:
            job_id: The job's id, 1 to 255 characters.
            worker: The name of this process where several report on the job, at most 100 characters. It must stay the
                same after a restart. An empty one counts as None.
            register: Whether to register the job if the server does not know it.
            attributes: The attributes to register it with, any JSON object up to 64 KB. `series`, a text of 1 to 255
                characters, says which crawl, run again and again, it is a run of.
            parent: The id of the job to register it as a part of, 1 to 255 characters.
            on_command: Called with an operator's command, `pause`, `cancel` or `resume`, in a thread of the client.

        Returns:
            The job.

        Raises:
            TypeError: An id is not text, the attributes are no JSON object, or `on_command` cannot be called.
            ValueError: An id is too long or cannot be stored in PostgreSQL, the attributes are too large, or the job
                would be part of itself.
            RuntimeError: The client was made before a fork.
        """
        self._check_process()
        check_id("job_id", job_id, JOB_ID)
        if worker == "":
            worker = None
        if worker is not None:
            check_id("worker", worker, WORKER)
        if parent is not None:
            check_id("parent", parent, JOB_ID)
            if parent == job_id:
                raise ValueError(f"parent must be another job than {job_id!r}: a job is no part of itself")
        check_callable("on_command", on_command)
        position = Position(job_id, worker, bool(register), as_attributes(attributes), parent=parent)
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

        Jobs that a signal asked to stop are reported as paused.

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
        self._sender.close(self._habits.end_timeout if timeout is None else as_seconds("timeout", timeout))

    def _check_process(self) -> None:
        if self._pid != current.pid:
            raise InheritedError(self._pid)

    def __enter__(self) -> Self:
        self._check_process()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._pid != current.pid:
            return
        if error is not None and is_interrupt(error):
            # It may have come before a job's own block was entered, or after that was left.
            for job in self._sender.channels.users():
                job.ask_to_stop(name_of_interrupt(error))
        self.close()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pid == current.pid:
            await to_its_end(lambda: self.__exit__(kind, error, trace))

    def __reduce__(self) -> str:
        raise TypeError("a ProgressClient cannot be sent to another process: make one there")


def _close_what_is_left(client: "weakref.ref[ProgressClient]") -> None:
    if (left := client()) is not None:
        left.__exit__(None, None, None)
