"""One job: the methods with which a crawler reports on it."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from tallymark.client import counting, delivery, loops, opened
from tallymark.client.aside import to_its_end
from tallymark.client.begun import Begun, cursor_of, left_to_do
from tallymark.client.checks import as_areas, as_cursor, as_seconds, as_state, as_whole
from tallymark.client.counting import as_count
from tallymark.client.failure import describe
from tallymark.client.fields import Given, as_event, check_stage, sort
from tallymark.client.fitting import fit_error
from tallymark.client.frontier import Node
from tallymark.client.keys import check_key
from tallymark.client.progress import Progress
from tallymark.client.records import Position
from tallymark.client.resume import FlushResult, Habits, Resume
from tallymark.client.run import Run
from tallymark.client.sender import Sender
from tallymark.client.signals import guard
from tallymark.client.updates import prepare
from tallymark.client.waits import Moment, Waiting, Waits, moment_of_site, wait_until

Item = TypeVar("Item")


class Job:
    """A run of a job, made by `ProgressClient.job`. Safe across threads, and in signal handlers.

    A context manager, also with `async with`: entering reports `started`, leaving reports how the run ended: completed;
    failed, after an exception; paused, after Ctrl-C, SIGTERM, SIGHUP or the cancellation of a task, and after
    `sys.exit()` with 0 or with the status of such a signal, as 143. The client's own threads send all reports. Only
    `start`, `flush` and the methods that end the job wait for the server; `refused` waits for the disk. The keys of
    counts are in memory, about 115 MB for a million. Of those that the server counts, no more than a million are kept.
    In the child of a fork, all methods raise a RuntimeError, and leaving the block does nothing. A job cannot be sent
    to another process: make a client there.

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
        self._run = Run(sender, habits, position, on_command)
        self._waits = Waits()

    # --- start and end ------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Report `started` and learn where to go on (see `resume`). Waits for the server, `start_timeout` at most.

        The `message` of an earlier run is cleared.

        Raises:
            ValueError: The job is already open in this client.
            RuntimeError: The job was started before, or the client is closed.
        """
        self._run.start(self)
        return self

    def complete(self, **fields: Any) -> None:  # noqa: ANN401 - any JSON
        """Report that the crawl is complete. `fields`: other fields, such as `message`."""
        self._run.end("completed", fields)

    def pause(self, state: Any = None, **fields: Any) -> None:  # noqa: ANN401 - any JSON
        """Report that the crawl pauses, and end this run. `state`: the resume state; `fields`: other fields."""
        self._run.end("paused", fields, None if state is None else as_state(state))

    def cancel(self, **fields: Any) -> None:  # noqa: ANN401 - any JSON
        """Report that the crawl was cancelled. `fields`: other fields."""
        self._run.end("cancelled", fields)

    def fail(self, error: BaseException | str, **context: Any) -> None:  # noqa: ANN401 - any JSON
        """Report that the crawl failed. `context`: details for the error, such as a URL; the cursor is added."""
        self._run.end("failed", {}, error=fit_error(describe(error, context)))

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if not self._run.is_inherited:
            self._run.leave(error)

    async def __aenter__(self) -> Self:
        # Here, because only the main thread can.
        self._run.check_process()
        if self.heeds_signals:
            guard.install()
        try:
            await to_its_end(self.start)
        except asyncio.CancelledError as error:
            # It is started by now.
            self._run.break_off(error)
            raise
        finally:
            guard.settle()
        opened.enter(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._run.is_inherited:
            try:
                await to_its_end(lambda: self.__exit__(kind, error, trace))
            finally:
                guard.settle()

    def __reduce__(self) -> str:
        raise TypeError(
            f"job {self.id!r} cannot be sent to another process: make a ProgressClient there, and name the worker,"
            " as in client.job(id, worker='a')"
        )

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
            n: How many. 0 with a key marks that key as counted, in this client.
            last_id: The cursor: the last item that is done. It is sent in the same update as the count, and also where
                the key was counted before. Where items end in any order, use `item` in its place.
            key: Identifies the item, such as its URL. A key counts once in a job and type, whichever worker, run or
                machine sends it, also after the job was completed. The server keeps 16 bytes of its SHA-256. Only with
                n = 1; for another n, a key counts once in this client and its spool.
            processed: How many of the items count in `processedItems`. If None, all; but where keys are sent before any
                other count, that is never given, and the percentage is that of all types together. Give it in all calls
                of a job or in none.

        Returns:
            Whether the items count, as far as this client knows: False if it has counted the key before, and after the
            job's end. True for a key does not mean that no other worker has counted it; see `unseen`.

        Raises:
            TypeError: An argument has the wrong type: a number that is not whole, such as 0.5 or True.
            ValueError: A number is out of range, the type is empty or longer than 100, the cursor longer than 255, or
                the key empty.
        """
        count = as_count(type, n, processed, last_id)
        recorder = self._run.started()
        if not (recorder.count(count, None) if key is None else counting.count_key(recorder, count, key)):
            return False
        if recorder.is_due(count[1]):
            self._run.sender.wake()
        return True

    def seen(self, key: str, type: str | None = None) -> bool:  # noqa: A002
        """Return whether this client has counted a key, in this run or an earlier one. `type`: None for any type."""
        return counting.seen(self._run.started(), key, type)

    def unseen(self, keys: Iterable[str], type: str = "items") -> list[str]:  # noqa: A002
        """Return the keys that the job has not counted yet, for workers that share a list. Waits for the server.

        Keys that this client has counted are left out, sent or not. If the server does not answer, all others are
        returned, with a warning in the log: they may be crawled twice, but count once.

        Args:
            keys: The keys, in any number; asked in parts of 1,000.
            type: The items' type, the same as in `advance`: a key counts once for each type.

        Returns:
            The keys that were not counted, in their order, each once.

        Raises:
            TypeError: A key is not text, or a single text was given in place of a list.
            ValueError: A key is empty, or the type is empty or too long.
        """
        return counting.unseen(self._run.started(), self._run.sender, keys, type)

    # --- items that end in any order ----------------------------------------------------------------------------------

    def item(self, cursor: object, type: str = "items", key: str | None = None) -> Begun:  # noqa: A002
        """Begin an item that counts when the block is left. For threads and tasks: items may end in any order.

        >>> for url in job.todo(urls):
        ...     with job.item(url, type="pages"):
        ...         fetch(url)

        A restart skips nothing. The cursor is that of the last item before which all are done. The order is that in
        which `todo` yielded the items, or without `todo` in which they were begun. `resume.done` has the items after
        the cursor that are done, too. An exception leaves the item open: the cursor does not pass it, and a restart
        does it again.

        The server keeps up to 1,000 items (64 KB) that are done after the cursor. More are kept in memory, and count
        when there is room; a warning names the item that is open. Begin each item in one process only: several
        processes that share a list use keys and `unseen`. Do not give `last_id` or `track(id=)` in the same job.

        Args:
            cursor: The item's cursor, 1 to 255 characters as text. Each item has its own.
            type: The item's type.
            key: Identifies the item; see `advance`.

        Returns:
            A context manager; see `Begun`.

        Raises:
            TypeError: The key or the type is not text.
            ValueError: The cursor or the type is empty or too long.
        """
        return self.begin(cursor, type, key)

    def begin(self, cursor: object, type: str = "items", key: str | None = None) -> Begun:  # noqa: A002
        """Begin an item and return it: its `done`, `skip` or `failed` may be called anywhere. See `item`."""
        self._run.started()
        as_count(type, 1, None, None)
        if key is not None:
            check_key(key)
        return Begun(self, self._run.places().take(cursor_of(cursor)), type, key)

    def todo(self, items: Iterable[Item], id: Callable[[Item], object] | None = None) -> Iterator[Item]:  # noqa: A002
        """Iterate over what is left to do of all items of the crawl, in their order. Stops when an operator asks to.

        Leaves out all items up to the cursor, and those after it that are done. If the list has changed and has no item
        with the cursor, only items that are known to be done are left out, and a warning says so. Begin each item that
        is yielded with `item` or `begin`, and `skip` what needs no work.

        Args:
            items: All items, in the same order as in the run before. Read once, as far as needed, unless the last one
                is missing in a list of more than 100,000. A job has one such list.
            id: Returns the cursor of an item; the item itself is the cursor if None.

        Yields:
            The items.

        Raises:
            TypeError: The items are a set, which has another order in each run.
            ValueError: A cursor is empty or longer than 255 characters.
            LookupError: The last item is not among more than 100,000 that can be read only once.
        """
        warn = self._run.started().warn
        if isinstance(items, set | frozenset):
            raise TypeError("todo() needs the same order in each run, and a set has none: give it sorted(items)")
        last = self.resume.last_processed_id
        return left_to_do(items, self._run.places(), last, id, self._run.is_told_to_stop, warn)

    def finish(self, node: Node, type_: str, n: int, *, key: str | None, processed: int | None) -> bool:
        """Report that an item is done; see `Begun`."""
        count = as_count(type_, n, processed, None)
        recorder = self._run.started()
        if key is None:
            counts = recorder.count(count, None, None, node)
        else:
            counts = counting.count_key(recorder, count, key, node)
        if recorder.is_due(count[1]):
            self._run.sender.wake()
        return counts

    def leave_open(self, node: Node) -> None:
        """Note that an item has failed; see `Begun`."""
        if not self._run.is_inherited:
            self._run.places().leave_open(node)

    # --- totals and loops ---------------------------------------------------------------------------------------------

    def total(self, number: int) -> None:
        """Report how many items are expected in all.

        Raises:
            TypeError: It is no whole number.
            ValueError: It is not from 0 to 2^53 - 1.
        """
        self._run.say(Progress.expect, as_whole("the total", number))

    def track(
        self,
        items: Iterable[Item],
        *,
        total: int | None = None,
        type: str = "items",  # noqa: A002 - the protocol's word
        id: Callable[[Item], object] | None = None,  # noqa: A002
        bar: bool | None = None,
    ) -> Iterator[Item]:
        """Iterate over items and count each one when its turn of the loop is done.

        An item whose turn ended with an exception or `break` is not counted. The loop ends early when an operator asks
        to pause or cancel, and after SIGTERM.

        The turn must do the work, not hand it over: `executor.map(f, job.track(urls))` takes all items at once, so they
        count, and the cursor moves, before anything is done. Give an executor or a pool the plain items, and count
        where one is done: `with job.item(url):` in the function that works on it, or `advance` after its result.

        Loops may follow each other and be inside each other. What is expected in all is then what is done, and what
        the loops that run still lack; after `job.total(...)` it is that.

        Args:
            items: Any iterable.
            total: How many items there are; `len(items)` if None and the iterable has a length.
            type: The items' type.
            id: Returns the id of an item, which becomes the cursor. If it raises for a later item than the first, that
                is logged, and the cursor stays at the item before.
            bar: Whether to draw a progress bar on standard error; if None, only where that is a terminal.

        Yields:
            The items.

        Raises:
            ValueError: The total is out of range, the type is longer than 100 characters, or the id of the first item
                is longer than 255.
        """
        return loops.track(self._run, items, total, type, id, bar=bar)

    def atrack(
        self,
        items: AsyncIterable[Item],
        *,
        total: int | None = None,
        type: str = "items",  # noqa: A002
        id: Callable[[Item], object] | None = None,  # noqa: A002
        bar: bool | None = None,
    ) -> AsyncIterator[Item]:
        """Iterate over asynchronous items and count them; see `track`."""
        return loops.atrack(self._run, items, total, type, id, bar=bar)

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
        self._run.announce(prepare({"stage": name, "operationType": operation, "currentDataType": data_type}))

    def discovered(self, areas: Sequence[Mapping[str, Any]]) -> None:
        """Report areas, each with at least `type` and `fullPath`. The server counts those that are new to the job.

        Raises:
            TypeError, ValueError: An area lacks one of these, or a member is wrong or too long; the message names it.
        """
        self._run.give(Given({}, areas=as_areas(areas)))

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
        self._run.announce(given.fields, f"credential_{what}")

    def waiting(self, until: Moment | None = None, reason: str | None = None) -> Waiting:
        """Report that the crawl waits, for a `with` or `async with` block; at its end the crawl goes on.

        The job is not stalled while it waits, and the time is added up by reason. Blocks may be nested, and several
        threads may wait: the wait that ends last counts. While one thread waits and another reports, the job works.

        Args:
            until: When the wait ends: seconds from now, a timedelta, a datetime, or the text of a header Retry-After.
            reason: What the crawl waits for, such as `rate limit`; of a longer text 100 characters are kept.

        Raises:
            TypeError: An argument has the wrong type.
            ValueError: `until` is no moment.
        """
        self._run.started()
        return Waiting(self._waits, self._say_waiting, until, reason)

    def wait_as_told(self, told: Moment, reason: str = "Retry-After") -> bool:
        """Wait as long as a site asks, and report that; see `waiting`. Stops when an operator asks to pause or cancel.

        Args:
            told: Until when to wait, such as the value of the header Retry-After: seconds, or a date. After a text that
                is neither, which a site may send, the wait is a minute, and a warning says so.
            reason: What the crawl waits for.

        Returns:
            Whether the wait is over: False if an operator asks the crawl to stop.

        Raises:
            TypeError: An argument has the wrong type.
            ValueError: `told` is a number that is no moment.
        """
        until = moment_of_site(told, self._run.started().warn)
        with self.waiting(until, reason):
            wait_until(until, self._run.is_told_to_stop)
        return not self._run.is_told_to_stop()

    def _say_waiting(self, fields: Mapping[str, Any], status: str) -> None:
        """Report the begin or the end of a wait; nothing goes on after the job's end."""
        if status == "waiting" or not self._run.started().has_ended:
            self._run.announce(prepare(fields), status)

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
        self._run.say(Progress.checkpoint, prepare({"progress": kept, "lastProcessedId": last}), kept, last)

    def report(self, **fields: Any) -> None:  # noqa: ANN401 - any JSON
        """Report other fields, of the protocol or the crawler's own. The newest value of each counts.

        A `message` over 1,000 characters and an `error` over 8 KB are cut; entries of a `timeline` are added. What is
        given as `foundByType`, `failedByType` and `skippedByType` is added to earlier counts; of `totalsByType` the
        newest value of each type counts.

        Raises:
            TypeError: A value is not JSON, or has the wrong type for a field of the protocol.
            ValueError: The client sets a field itself, a value is over the protocol's limit, or the fields of this call
                take more than 512 KB.
        """
        self._run.give(sort(fields))

    def event(self, name: str, details: Mapping[str, Any] | None = None) -> None:
        """Add an entry of the crawler's own to the timeline.

        Args:
            name: 1 to 100 characters.
            details: Any JSON object, at most 512 KB.

        Raises:
            TypeError: The name is not text, or the details are no JSON object.
            ValueError: The name is empty or too long, or the details are too large.
        """
        self._run.say(Progress.add_event, *as_event(name, details, _now()))

    def error(self, error: BaseException | str, **context: Any) -> None:  # noqa: ANN401 - any JSON
        """Report an error that does not end the job. `context`: details, such as a URL; what is too large is cut."""
        self._run.announce(prepare({"error": fit_error(describe(error, context))}))

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
        return delivery.flush(self._run, as_seconds("timeout", timeout))

    async def aflush(self, timeout: float = 10.0) -> FlushResult:  # noqa: ASYNC109 - the same as `flush` has
        """Wait until all reports so far are safe; see `flush`."""
        self._run.check_process()
        return await asyncio.to_thread(self.flush, timeout)

    @property
    def command(self) -> str | None:
        """The operator's command in the last acknowledgement: `pause`, `cancel`, `resume` or None."""
        return self._run.command

    @property
    def should_stop(self) -> bool:
        """Whether to stop: an operator asks to pause or cancel, or a signal asks the process to end.

        If it was True, leaving the block reports that it was obeyed.
        """
        return self._run.is_told_to_stop()

    @property
    def undelivered(self) -> int:
        """How many updates of this job wait for the server."""
        return len(self._run.started().channel.outbox)

    def refused(self) -> list[tuple[dict[str, Any], Any]]:
        """Return the updates that the server refused, each with its answer."""
        return delivery.refused(self._run.started().channel)

    # --- called by the client, and in signal handlers -----------------------------------------------------------------

    def put_away(self) -> None:
        """Put all reports into the outbox and accept no more, because the client closes."""
        self._run.put_away()

    @property
    def heeds_signals(self) -> bool:
        """Whether SIGTERM and SIGHUP end the job as paused; see `ProgressClient`."""
        return self._run.habits.heeds_signals

    def ask_to_stop(self, name: str) -> None:
        """Note that a signal asks this process to end. Called in its handler."""
        self._run.ask_to_stop(name)

    def end_interrupted(self, why: str) -> None:
        """End the job as paused, if it is open."""
        self._run.end_interrupted(why)


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


# The end of a job must not be lost between two of their lines.
guard.keep_whole(Job.start, Job.__enter__, Job.__exit__, Run.end)
