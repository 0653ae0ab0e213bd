"""One job: the methods with which a crawler reports on it."""

import asyncio
import threading
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from tallymark.client.checks import (
    as_areas,
    as_cursor,
    as_seconds,
    as_state,
    as_whole,
    check_count,
    check_type,
    digest,
    parts_of,
)
from tallymark.client.failure import describe
from tallymark.client.fields import Given, as_event, check_stage, sort
from tallymark.client.fitting import fit_error
from tallymark.client.listener import Listener
from tallymark.client.log import log as _log
from tallymark.client.process import InheritedError, current
from tallymark.client.progress import Progress, Reply
from tallymark.client.recorder import Recorder
from tallymark.client.records import Position
from tallymark.client.resume import DeliveryError, FlushResult, Habits, Resume
from tallymark.client.sender import Sender
from tallymark.client.tracking import Tracker, follow, follow_async, wants_bar
from tallymark.client.updates import Fields, prepare, updates_wait

Item = TypeVar("Item")


class Job:
    """A run of a job, made by `ProgressClient.job`. Safe across threads, and in signal handlers.

    A context manager: entering reports `started`, leaving reports how the run ended. The client's own threads send all
    reports, so only `start`, `flush` and the methods that end the job wait for the server, and `refused` for the disk.
    The keys of all counts are in memory, about 105 MB for a million. In the child of a fork, all methods raise a
    RuntimeError, and leaving the block does nothing.

    Attributes:
        id: The job's id.
        resume: Where to go on; known once the job has started.
    """

    def __init__(
        self,
        client: object,
        sender: Sender,
        habits: Habits,
        position: Position,
        on_command: Callable[[str], object] | None,
    ) -> None:
        """See `ProgressClient.job`."""
        self.id = position.job_id
        self.resume = Resume()
        # The client lives as long as its jobs do.
        self._client = client
        self._sender = sender
        self._habits = habits
        self._position = position
        self._on_command = on_command
        self._recorder: Recorder | None = None
        self._pid = current.pid
        self._listener: Listener | None = None
        self._saw_stop = False
        #: How many refusals `flush` has returned.
        self._told_refusals = 0

    # --- start and end ------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Report `started` and learn where to go on (see `resume`). Waits for the server, `start_timeout` at most.

        Raises:
            ValueError: The job is already open in this client.
            RuntimeError: The job was started before, or the client is closed.
        """
        self._check_process()
        if self._recorder is not None:
            raise RuntimeError(f"job {self.id!r} was started before: make another one with client.job()")
        try:
            channel = self._sender.channels.open(self.id, self._position.worker, self)
            self._recorder = Recorder.resume(channel, self._position, self._habits)
            self._listener = listener = Listener(self.id, self._recorder, self._on_command)
            channel.listen = listener.take_answer
            self._told_refusals = channel.refusals.number
            self._sender.add(channel)
            until = time.monotonic() + self._habits.start_timeout
            while not listener.is_answered and not self._cannot_answer() and time.monotonic() < until:
                listener.answered.wait(0.05)
            if not listener.is_answered and not self._sender.is_sender():
                self._sender.give_up()
            self._say_and_wait(Progress.begin)
            self.resume = self._recorder.progress.resume
        except BaseException as error:
            self._break_off(error)
            raise
        if self.resume.source == "nothing":
            _log.warning("job %s starts without a cursor: the server did not send one, the spool has none", self.id)
        return self

    def _break_off(self, error: BaseException) -> None:
        """Make the job free for another start in this client, because this one failed."""
        recorder = self._recorder
        if recorder is not None and self._sender.runs(recorder.channel):
            # The server may have `started` already. It is not waited for.
            status, fields, described = _end_of(error)
            self._say_end(recorder, status, prepare(fields), None, described)
        else:
            self._recorder = self._listener = None
            self._sender.channels.give_back(self.id, self._position.worker, self)

    def complete(self, **fields: Any) -> None:  # noqa: ANN401 - any JSON
        """Report that the crawl is complete. `fields`: other fields, such as `message`."""
        self._end("completed", fields)

    def pause(self, state: Any = None, **fields: Any) -> None:  # noqa: ANN401 - any JSON
        """Report that the crawl pauses, and end this run. `state`: the resume state; `fields`: other fields."""
        self._end("paused", fields, None if state is None else as_state(state))

    def cancel(self, **fields: Any) -> None:  # noqa: ANN401 - any JSON
        """Report that the crawl was cancelled. `fields`: other fields."""
        self._end("cancelled", fields)

    def fail(self, error: BaseException | str, **context: Any) -> None:  # noqa: ANN401 - any JSON
        """Report that the crawl failed. `context`: details for the error, such as a URL; the cursor is added."""
        self._end("failed", {}, error=fit_error(describe(error, context)))

    def _end(
        self, status: str, fields: Mapping[str, Any], state: object = None, error: Mapping[str, Any] | None = None
    ) -> None:
        """Report how the job ended, once, and wait for the server, `end_timeout` at most."""
        recorder = self._started()
        if recorder.has_ended:
            return
        # What the server would refuse raises an exception here, before anything has changed.
        given = sort(fields)
        self._give(given._replace(fields={}))
        seq = self._say_end(recorder, status, given.fields, state, error)
        channel = recorder.channel
        delivered = channel.wait(seq, self._habits.end_timeout, lambda: self._cannot_answer() or channel.is_held)
        if not delivered and not channel.is_held and not self._sender.is_sender():
            self._sender.give_up()
        if not delivered and not channel.outbox.is_durable:
            _log.error("job %s: %s in memory only; give the client a spool", self.id, updates_wait(len(channel.outbox)))
        elif not delivered:
            _log.warning("job %s: %s in %s", self.id, updates_wait(len(channel.outbox)), channel.outbox.path)

    def _say_end(
        self, recorder: Recorder, status: str, fields: Fields, state: object, error: Mapping[str, Any] | None
    ) -> int:
        """Report the end, and wait until it is in the outbox; return its number there."""
        reply: Reply = SimpleQueue()
        recorder.say(Progress.end, status, fields, state, error, reply=reply)
        recorder.has_ended = True
        for tracker in recorder.trackers():
            tracker.end()
        return self._wait(recorder, reply)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._pid != current.pid:
            return
        if error is None:
            command = self.command if self._saw_stop else None
            {"cancel": self.cancel, "pause": self.pause}.get(command or "", self.complete)()
        else:
            status, fields, described = _end_of(error)
            self._end(status, fields, error=described)

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.start)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pid == current.pid:
            await asyncio.to_thread(self.__exit__, kind, error, trace)

    # --- counting -------------------------------------------------------------------------------------------------

    def advance(
        self,
        type: str = "items",  # noqa: A002 - the protocol's word
        n: int = 1,
        *,
        last_id: object = None,
        key: str | None = None,
        processed: int | None = None,
    ) -> bool:
        """Count items that are done.

        Args:
            type: The items' type.
            n: How many. 0 with a key marks that key as counted.
            last_id: The cursor: the last item that is done. It is sent in the same update as the count.
            key: Identifies the item. A key counts once in a job, also after a restart with the same spool. For crawls
                without an order, where no cursor can say what is done.
            processed: How many of the items count in `processedItems`; all if None.

        Returns:
            Whether the items count: False if the key was counted before, and after the job's end.

        Raises:
            TypeError: An argument has the wrong type: a number that is not whole, such as 0.5 or True.
            ValueError: A number is out of range, the type is empty or longer than 100, the cursor longer than 255, or
                the key empty.
        """
        n, done = check_count(type, n, processed)
        count = (type, n, done, as_cursor(last_id))
        recorder = self._started()
        if not recorder.count(count, None if key is None else digest(key)):
            return False
        if recorder.is_due(n):
            self._sender.wake()
        return True

    def seen(self, key: str) -> bool:
        """Return whether `advance` counted a key, in this run or an earlier one."""
        return self._started().has_counted(digest(key))

    def total(self, number: int) -> None:
        """Report how many items are expected in all.

        Raises:
            TypeError: It is no whole number.
            ValueError: It is not from 0 to 2^53 - 1.
        """
        self._say(Progress.expect, as_whole("the total", number))

    def track(
        self,
        items: Iterable[Item],
        *,
        total: int | None = None,
        type: str = "items",  # noqa: A002 - the protocol's word
        id: Callable[[Item], object] | None = None,  # noqa: A002
        bar: bool | None = None,
    ) -> Iterator[Item]:
        """Iterate over items and count each one when its turn of the loop is done. Stops when an operator asks to.

        An item whose turn ended with an exception or `break` is not counted.

        Args:
            items: Any iterable.
            total: How many items there are; `len(items)` if None and the iterable has a length. They are expected in
                addition to the items counted so far.
            type: The items' type.
            id: Returns the id of an item, which becomes the cursor.
            bar: Whether to draw a progress bar; if None, only where standard error is a terminal.

        Yields:
            The items.

        Raises:
            ValueError: The total is out of range, the type is longer than 100 characters, or an id longer than 255.
        """
        tracker = self._begin_loop(items, total, type, bar)
        try:
            yield from follow(items, tracker, self._is_told_to_stop, self._look_at_loop, id)
        finally:
            self._end_loop(tracker)

    async def atrack(
        self,
        items: AsyncIterable[Item],
        *,
        total: int | None = None,
        type: str = "items",  # noqa: A002
        id: Callable[[Item], object] | None = None,  # noqa: A002
        bar: bool | None = None,
    ) -> AsyncIterator[Item]:
        """Iterate over asynchronous items and count them; see `track`."""
        tracker = self._begin_loop(items, total, type, bar)
        try:
            async for item in follow_async(items, tracker, self._is_told_to_stop, self._look_at_loop, id):
                yield item
        finally:
            self._end_loop(tracker)

    def _begin_loop(self, items: object, total: int | None, type_: str, bar: bool | None) -> Tracker:
        recorder = self._started()
        check_type(type_)
        if total is None and hasattr(items, "__len__"):
            total = len(items)
        if total is not None:
            total = as_whole("total", total)
            self._say(Progress.expect_more, total)
        wake_at = 0 if recorder.has_ended else self._habits.every_items
        tracker = Tracker(type_, total, bar=wants_bar(bar), wake_at=wake_at)
        recorder.begin_loop(tracker)
        return tracker

    def _look_at_loop(self) -> None:
        """Wake the keeper for the items that a loop has finished, or warn that they came after the end."""
        if self._recorder is not None and self._recorder.has_ended:
            self._recorder.warn_of_loss()
        self._sender.wake()

    def _end_loop(self, tracker: Tracker) -> None:
        if self._pid == current.pid and self._recorder is not None:
            self._recorder.end_loop(tracker)
            tracker.end()

    # --- other reports ------------------------------------------------------------------------------------------------

    def stage(self, name: str, *, operation: str | None = None, data_type: str | None = None) -> None:
        """Report that a stage begins. Items counted so far belong to the stage before it.

        Args:
            name: The stage's name.
            operation: `discovery`, `branch_crawling`, `data_collection` or `finalization`.
            data_type: The type of the items that follow.

        Raises:
            TypeError: A name is not text.
            ValueError: A name is longer than 100 characters, or the operation is none of the four.
        """
        check_stage(name, operation, data_type)
        self._announce({"stage": name, "operationType": operation, "currentDataType": data_type})

    def discovered(self, areas: Sequence[Mapping[str, Any]]) -> None:
        """Report areas, each with at least `type` and `fullPath`. The server counts those that are new to the job.

        Raises:
            TypeError, ValueError: An area lacks one of these, or a member is wrong or too long; the message names it.
        """
        self._give(Given({}, areas=as_areas(areas)))

    def credential(self, what: Literal["expiry", "renewal", "resumed"], **status: Any) -> None:  # noqa: ANN401 - any JSON
        """Report a change of the crawl's credential.

        Args:
            what: The credential expired (`expiry`), waits for its renewal (`renewal`) or works again (`resumed`).
            status: Members of `credentialStatus`: `type`, `severity`, `errorType`, `providerId`, `message`, ...

        Raises:
            TypeError: A member is not JSON.
            ValueError: `what` is none of the three, or the members are too large.
        """
        if what not in {"expiry", "renewal", "resumed"}:
            raise ValueError("the first argument must be expiry, renewal or resumed")
        given = sort({"credentialStatus": {"timestamp": _now(), **status}})
        self._announce(given.fields, f"credential_{what}", is_ready=True)

    def checkpoint(self, state: Any, *, last_id: object = None) -> None:  # noqa: ANN401 - any JSON
        """Keep what the crawl needs to go on after a restart. It is sent together with all counts so far.

        Args:
            state: The resume state: any JSON up to 64 KB.
            last_id: The cursor.

        Raises:
            TypeError: The state is not JSON.
            ValueError: The state is too large, a number in it is not finite, or the cursor is longer than 255.
        """
        last, kept = as_cursor(last_id), as_state(state)
        self._say(Progress.checkpoint, prepare({"progress": kept, "lastProcessedId": last}), kept, last)

    def report(self, **fields: Any) -> None:  # noqa: ANN401 - any JSON
        """Report other fields, of the protocol or the crawler's own. The newest value of each counts.

        A `message` over 1,000 characters and an `error` over 8 KB are cut; entries of a `timeline` are added.

        Raises:
            TypeError: A value is not JSON, or has the wrong type for a field of the protocol.
            ValueError: The client sets a field itself, a value is over the protocol's limit, or the fields of this call
                take more than 512 KB.
        """
        self._give(sort(fields))

    def _give(self, given: Given) -> None:
        """Report fields that were checked, each on its way; see `fields`."""
        if given == Given({}):
            return
        parts = list(parts_of(given.areas, self._habits.max_bytes)) if given.areas else []
        self._say(Progress.take, given, parts)
        if parts:
            self._sender.wake()

    def event(self, name: str, details: Mapping[str, Any] | None = None) -> None:
        """Add an entry of the crawler's own to the timeline.

        Args:
            name: 1 to 100 characters.
            details: Any JSON object, at most 512 KB.

        Raises:
            TypeError: The name is not text, or the details are no JSON object.
            ValueError: The name is empty or too long, or the details are too large.
        """
        self._say(Progress.add_event, *as_event(name, details, _now()))

    def error(self, error: BaseException | str, **context: Any) -> None:  # noqa: ANN401 - any JSON
        """Report an error that does not end the job. `context`: details, such as a URL; what is too large is cut."""
        self._announce({"error": fit_error(describe(error, context))})

    def _announce(self, fields: Mapping[str, Any], status: str = "processing", *, is_ready: bool = False) -> None:
        """Report something that people wait for: it is sent at once. `is_ready`: whether the fields are prepared."""
        self._say(Progress.announce, fields if is_ready else prepare(fields), status)
        self._sender.wake()

    # --- delivery and commands ----------------------------------------------------------------------------------------

    def flush(self, timeout: float = 10.0) -> FlushResult:
        """Wait until all reports so far are safe, and say where they are.

        Args:
            timeout: Seconds to wait for the server, as long as it answers at all.

        Returns:
            The result. It is true only if the server has everything and, since the `flush` before, nothing was refused.

        Raises:
            DeliveryError: Reports are in memory only: there is no spool, or its disk does not work.
        """
        timeout = as_seconds("timeout", timeout)
        seq = self._say_and_wait(Progress.flush)
        channel = self._started().channel
        durable = channel.outbox.is_durable

        def is_in_vain() -> bool:
            return (durable and self._sender.is_away) or self._sender.is_sender() or channel.is_held

        on_server = channel.wait(seq, timeout, is_in_vain)
        if not on_server and not channel.outbox.is_there:
            # Somebody removed the file while the server was waited for. The keeper makes it again, if it can.
            self._say_and_wait(Progress.flush)
        on_disk = not on_server and channel.outbox.is_durable and channel.outbox.is_there
        if not on_server and not on_disk:
            raise DeliveryError(
                f"job {self.id}: {updates_wait(len(channel.outbox))} in memory only, and the server did not answer:"
                " call flush() again, or give the client a spool on a working disk"
            )
        refused, self._told_refusals = channel.refusals.since(self._told_refusals)
        return FlushResult(on_server=on_server, on_disk=on_disk, refused=refused)

    async def aflush(self, timeout: float = 10.0) -> FlushResult:  # noqa: ASYNC109 - the same as `flush` has
        """Wait until all reports so far are safe; see `flush`."""
        self._check_process()
        return await asyncio.to_thread(self.flush, timeout)

    @property
    def command(self) -> str | None:
        """The operator's command in the last acknowledgement: `pause`, `cancel`, `resume` or None."""
        self._check_process()
        return self._listener.command if self._listener is not None else None

    @property
    def should_stop(self) -> bool:
        """Whether an operator asks to pause or cancel. If it was True, leaving the block reports that it was obeyed."""
        return self._is_told_to_stop()

    def _is_told_to_stop(self) -> bool:
        if self._pid != current.pid:
            raise InheritedError(self._pid)
        if self._listener is not None and self._listener.asks_to_stop:
            self._saw_stop = True
            return True
        return False

    @property
    def undelivered(self) -> int:
        """How many updates of this job wait for the server."""
        return len(self._started().channel.outbox)

    def refused(self) -> list[tuple[dict[str, Any], Any]]:
        """Return the updates that the server refused, each with its answer."""
        channel = self._started().channel
        if threading.current_thread() is not threading.main_thread():
            return channel.refused()
        # Signal handlers run in the main thread. One that waits for the keeper must not interrupt it while it has the
        # outbox's lock, for which the keeper may wait: so another thread reads.
        answer: SimpleQueue[list[tuple[dict[str, Any], Any]] | BaseException] = SimpleQueue()

        def read() -> None:
            try:
                answer.put(channel.refused())
            except BaseException as error:  # noqa: BLE001 - it is raised in the main thread
                answer.put(error)

        threading.Thread(target=read, name="tallymark-reader", daemon=True).start()
        found = answer.get()
        if isinstance(found, BaseException):
            raise found
        return found

    # --- to the recorder ------------------------------------------------------------------------------------------

    def _check_process(self) -> None:
        if self._pid != current.pid:
            raise InheritedError(self._pid)

    def _started(self) -> Recorder:
        self._check_process()
        if self._recorder is None:
            raise RuntimeError(f"job {self.id!r} was not started: use `with client.job(...) as job`, or start()")
        return self._recorder

    def _listening(self) -> Recorder | None:
        """Return the recorder; log a warning and return None if the job has ended."""
        recorder = self._started()
        if recorder.has_ended:
            recorder.warn_of_loss()
            return None
        return recorder

    def _say(self, method: Callable[..., None], *args: object) -> None:
        if (recorder := self._listening()) is not None:
            recorder.say(method, *args)

    def _say_and_wait(self, method: Callable[..., None]) -> int:
        """Append a report, wait until it is in the outbox, and return the number of the last update there."""
        recorder = self._started()
        reply: Reply = SimpleQueue()
        recorder.say(method, reply=reply)
        return self._wait(recorder, reply)

    def _wait(self, recorder: Recorder, reply: Reply) -> int:
        """Wait for the keeper's reply: it comes when the report is in the outbox."""
        self._sender.wake()
        # A log handler that runs in the keeper's thread cannot wait for the keeper. After `close` none replies.
        while (
            not self._sender.is_keeper() and recorder.channel.serves(recorder) and not self._sender.channels.is_closing
        ):
            with suppress(Empty):
                result = reply.get(timeout=0.5)
                if isinstance(result, BaseException):
                    raise result
                return result
        return recorder.seq

    def put_away(self) -> None:
        """Put all reports into the outbox and accept no more, because the client closes."""
        if self._recorder is not None and not self._recorder.has_ended:
            reply: Reply = SimpleQueue()
            self._recorder.say(Progress.put_away, reply=reply)
            self._recorder.has_ended = True
            self._wait(self._recorder, reply)

    def _cannot_answer(self) -> bool:
        return self._sender.is_away or self._sender.is_sender()


def _end_of(error: BaseException) -> tuple[str, dict[str, Any], dict[str, Any] | None]:
    """Return how a run that an exception ended has to be reported: status, fields and error."""
    stopped = (KeyboardInterrupt, GeneratorExit, asyncio.CancelledError)
    if isinstance(error, stopped) or (isinstance(error, SystemExit) and not error.code):
        return "paused", {"message": f"interrupted ({type(error).__name__})"}, None
    return "failed", {}, fit_error(describe(error, {}))


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
