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

from tallymark.client import opened
from tallymark.client.aside import to_its_end
from tallymark.client.begun import Begun, Places, cursor_of, left_to_do
from tallymark.client.checks import (
    as_areas,
    as_cursor,
    as_seconds,
    as_state,
    as_whole,
    check_count,
    check_type,
    parts_of,
)
from tallymark.client.failure import describe, is_interrupt, name_of_interrupt
from tallymark.client.fields import Given, as_event, check_stage, sort
from tallymark.client.fitting import fit_error
from tallymark.client.frontier import Node
from tallymark.client.keys import as_sent, check_key, digest, digest_of_any_type
from tallymark.client.listener import Listener
from tallymark.client.log import log as _log
from tallymark.client.process import InheritedError, current
from tallymark.client.progress import Count, Progress, Reply
from tallymark.client.questions import parts_of_keys, unseen_in, unseen_question
from tallymark.client.recorder import Recorder
from tallymark.client.records import Position
from tallymark.client.resume import DeliveryError, FlushResult, Habits, Resume
from tallymark.client.sender import Sender
from tallymark.client.signals import guard
from tallymark.client.tracking import Tracker, follow, follow_async, length_of, warn_of_taker
from tallymark.client.updates import Fields, prepare, updates_wait
from tallymark.client.waits import Moment, Waiting, Waits, moment

Item = TypeVar("Item")

#: How often `wait_as_told` looks for commands.
_LOOK_SECONDS = 0.25


class Job:
    """A run of a job, made by `ProgressClient.job`. Safe across threads, and in signal handlers.

    A context manager, also with `async with`: entering reports `started`, leaving reports how the run ended: completed;
    failed, after an exception; paused, after Ctrl-C, SIGTERM, SIGHUP or the cancellation of a task, and after
    `sys.exit()` with 0 or with the status of such a signal, as 143. The client's own threads send all reports, so only
    `start`, `flush` and the methods that end the job wait for the server, and `refused` for the disk. The keys of
    counts are in memory, about 115 MB for a million, and of those that the server counts no more than a million. In the
    child of a fork, all methods raise a RuntimeError, and leaving the block does nothing. A job cannot be sent to
    another process: make a client there.

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
        self._places: Places | None = None
        self._saw_stop = False
        #: The signal that asked this process to end.
        self._signal: str | None = None
        self._waits = Waits()
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
            if self.heeds_signals:
                guard.install()
            channel = self._sender.channels.open(self.id, self._position.worker, self)
            self._recorder = Recorder.resume(channel, self._position, self._habits)
            self._listener = listener = Listener(self.id, self._recorder, self._on_command)
            channel.listen = listener.take_answer
            self._told_refusals = channel.refusals.number
            self._sender.add(channel)
            opened.add(self)
            opened.enter(self)
            until = time.monotonic() + self._habits.start_timeout
            while not (listener.is_answered or self._cannot_answer() or self._signal) and time.monotonic() < until:
                listener.answered.wait(0.05)
            if not listener.is_answered and not self._sender.is_sender():
                self._sender.give_up()
            self._say_and_wait(Progress.begin)
            progress = self._recorder.progress
            self.resume = progress.resume
            self._places = Places(self._recorder, progress.frontier.told)
            if self.resume.source == "nothing":
                _log.warning(
                    "job %s starts at the beginning: the server did not say where to go on, the spool does not know",
                    self.id,
                )
            guard.raise_waiting()
        except BaseException as error:
            self._break_off(error)
            raise
        return self

    def _break_off(self, error: BaseException) -> None:
        """Report the end of a run whose start or end was interrupted, or make the job free for another start."""
        recorder = self._recorder
        if recorder is None or not self._sender.runs(recorder.channel):
            self._recorder = self._listener = None
            self._sender.channels.give_back(self.id, self._position.worker, self)
        elif not recorder.has_ended:
            # The server may have `started` already. It is not waited for.
            status, fields, described = self._end_of(error)
            self._say_end(recorder, status, prepare(fields), None, described)
        self._close()

    def _close(self) -> None:
        """Note that this run is over."""
        opened.remove(self)
        guard.settle()

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
            self._close()
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
        self._close()

    def _say_end(
        self, recorder: Recorder, status: str, fields: Fields, state: object, error: Mapping[str, Any] | None
    ) -> int:
        """Report the end, and wait until it is in the outbox; return its number there."""
        reply: Reply = SimpleQueue()
        recorder.say(Progress.end, status, fields, state, error, reply=reply)
        recorder.has_ended = True
        for tracker in reversed(recorder.trackers()):
            tracker.end()
        return self._wait(recorder, reply)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._pid != current.pid:
            return
        try:
            self._leave(error)
        except Exception:  # noqa: BLE001 - the crawl is not broken by a report, and its own error is not hidden
            _log.exception("job %s: its end could not be reported", self.id)
        except BaseException as interrupt:
            self._break_off(interrupt)
            raise
        guard.raise_waiting()

    def _leave(self, error: BaseException | None) -> None:
        """Report how the block was left."""
        if error is None and self._signal is not None:
            self._end("paused", {"message": f"interrupted ({self._signal})"})
        elif error is None:
            command = self.command if self._saw_stop else None
            {"cancel": self.cancel, "pause": self.pause}.get(command or "", self.complete)()
        else:
            status, fields, described = self._end_of(error)
            self._end(status, fields, error=described)

    async def __aenter__(self) -> Self:
        # Here, because only the main thread can.
        self._check_process()
        if self.heeds_signals:
            guard.install()
        try:
            await to_its_end(self.start)
        except asyncio.CancelledError as error:
            # It is started by now.
            self._break_off(error)
            raise
        finally:
            guard.settle()
        opened.enter(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pid == current.pid:
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
        count = _as_count(type, n, processed, last_id)
        recorder = self._started()
        if not (recorder.count(count, None) if key is None else self._count_key(recorder, count, key)):
            return False
        if recorder.is_due(count[1]):
            self._sender.wake()
        return True

    def _count_key(self, recorder: Recorder, count: Count, key: str, node: Node | None = None) -> bool:
        type_, n = count[:2]
        check_key(key)
        if recorder.has_old_keys and recorder.has_counted(digest_of_any_type(key)):
            recorder.pass_by(count, node)
            return False
        # More than one item cannot be counted by one key on the server.
        return recorder.count(count, digest(type_, key), key if n == 1 else None, node)

    def seen(self, key: str, type: str | None = None) -> bool:  # noqa: A002
        """Return whether this client has counted a key, in this run or an earlier one. `type`: None for any type."""
        recorder = self._started()
        key = check_key(key)
        if recorder.has_old_keys and recorder.has_counted(digest_of_any_type(key)):
            return True
        types = recorder.types_with_keys() if type is None else (type,)
        return any(recorder.has_counted(digest(one, key)) for one in types)

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
        if isinstance(keys, str):
            raise TypeError("keys must be a list or another iterable of texts, not a single text")
        recorder = self._started()
        check_type(type)
        left = [key for key in dict.fromkeys(keys) if not self.seen(key, type)]
        sent = {key: as_sent(key) for key in left}
        unseen: set[str] = set()
        for part in parts_of_keys(list(dict.fromkeys(sent.values()))):
            found = unseen_in(self._sender.ask(*unseen_question(self.id, type, part)))
            if found is None:
                recorder.warn("cannot ask the server which keys are new, so all that this client does not know are")
                return left
            unseen.update(found)
        return [key for key in left if sent[key] in unseen]

    # --- items that end in any order ----------------------------------------------------------------------------------

    def item(self, cursor: object, type: str = "items", key: str | None = None) -> Begun:  # noqa: A002
        """Begin an item that counts when the block is left. For threads and tasks: items may end in any order.

        >>> for url in job.todo(urls):
        ...     with job.item(url, type="pages"):
        ...         fetch(url)

        What a restart goes on with skips nothing: the cursor is that of the last item before which all are done, in the
        order in which `todo` yielded them, or else in which they were begun. `resume` also has what is done beyond.
        An exception leaves the item open: the cursor does not pass it, and a restart does it again.

        Up to 1,000 items done beyond the cursor (64 KB) are told to the server. More are kept in memory and not counted
        until there is room: a warning names the item that is open. Begin each item in one process only: several that
        share a list use keys and `unseen`. Do not give `last_id` or `track(id=)` in the same job.

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
        self._started()
        _as_count(type, 1, None, None)
        if key is not None:
            check_key(key)
        return Begun(self, self._line().take(cursor_of(cursor)), type, key)

    def todo(self, items: Iterable[Item], id: Callable[[Item], object] | None = None) -> Iterator[Item]:  # noqa: A002
        """Iterate over what is left to do of all items of the crawl, in their order. Stops when an operator asks to.

        Leaves out all up to and including the last one before which all is done, and those done beyond it. If that one
        is not among the items, because the list has changed, only those done beyond it are left out, and a warning says
        so. Begin each item that is yielded with `item` or `begin`, and `skip` what needs no work.

        Args:
            items: All items, in the same order as in the run before. Read once, as far as needed, unless the last one
                is missing in a list of more than 100,000. A job has one such list.
            id: Returns the cursor of an item; the item itself is the cursor if None.

        Yields:
            The items.

        Raises:
            ValueError: A cursor is empty or longer than 255 characters.
            LookupError: The last item is not among more than 100,000 that can be read only once.
        """
        recorder = self._started()
        return left_to_do(items, self._line(), self.resume.last_processed_id, id, self._is_told_to_stop, recorder.warn)

    def _line(self) -> Places:
        self._started()
        if self._places is None:
            raise RuntimeError(f"job {self.id!r} is being started")
        return self._places

    def finish(self, node: Node, type_: str, n: int, *, key: str | None, processed: int | None) -> bool:
        """Report that an item is done; see `Begun`."""
        count = _as_count(type_, n, processed, None)
        recorder = self._started()
        counts = recorder.count(count, None, None, node) if key is None else self._count_key(recorder, count, key, node)
        if recorder.is_due(count[1]):
            self._sender.wake()
        return counts

    def leave_open(self, node: Node) -> None:
        """Note that an item has failed; see `Begun`."""
        if self._pid == current.pid:
            self._line().leave_open(node)

    # --- totals and loops ---------------------------------------------------------------------------------------------

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
        warn_of_taker(self.id, 1)
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
        total = length_of(items) if total is None else as_whole("total", total)
        wake_at = 0 if recorder.has_ended else self._habits.every_items
        tracker = Tracker(type_, total, bar=bar, wake_at=wake_at)
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
        self._started()
        return Waiting(self._waits, self._say_waiting, until, reason)

    def wait_as_told(self, told: Moment, reason: str = "Retry-After") -> bool:
        """Wait as a site asks for, and report that; see `waiting`. Stops when an operator asks to pause or cancel.

        Args:
            told: Until when to wait, such as the value of the header Retry-After: seconds, or a date.
            reason: What the crawl waits for.

        Returns:
            Whether the wait is over: False if an operator asks the crawl to stop.

        Raises:
            TypeError: An argument has the wrong type.
            ValueError: `told` is no moment.
        """
        ends = time.monotonic() + (moment(told) - datetime.now(UTC)).total_seconds()
        with self.waiting(told, reason):
            while (left := ends - time.monotonic()) > 0 and not self._is_told_to_stop():
                time.sleep(min(left, _LOOK_SECONDS))
        return not self._is_told_to_stop()

    def _say_waiting(self, fields: Mapping[str, Any], status: str) -> None:
        """Report the begin or the end of a wait; nothing goes on after the job's end."""
        if status == "waiting" or not self._started().has_ended:
            self._announce(fields, status)

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
        """Whether to stop: an operator asks to pause or cancel, or a signal asks the process to end.

        If it was True, leaving the block reports that it was obeyed.
        """
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
        if self._signal is not None:
            self.end_interrupted(self._signal)
        if self._recorder is not None and not self._recorder.has_ended:
            reply: Reply = SimpleQueue()
            self._recorder.say(Progress.put_away, reply=reply)
            self._recorder.has_ended = True
            self._wait(self._recorder, reply)
        self._close()

    # --- signals ----------------------------------------------------------------------------------------------------

    @property
    def heeds_signals(self) -> bool:
        """Whether SIGTERM and SIGHUP end the job as paused; see `ProgressClient`."""
        return self._habits.heeds_signals

    def ask_to_stop(self, name: str) -> None:
        """Note that a signal asks this process to end. Called in its handler."""
        self._signal = name
        if self._listener is not None:
            self._listener.must_stop = self._listener.asks_to_stop = True

    def end_interrupted(self, why: str) -> None:
        """End the job as paused, if it is open."""
        if self._recorder is not None:
            self._end("paused", {"message": f"interrupted ({why})"})

    def _cannot_answer(self) -> bool:
        return self._sender.is_away or self._sender.is_sender()

    def _end_of(self, error: BaseException) -> tuple[str, dict[str, Any], dict[str, Any] | None]:
        """Return how a run that an exception ended has to be reported: status, fields and error."""
        if is_interrupt(error):
            return "paused", {"message": f"interrupted ({self._signal or name_of_interrupt(error)})"}, None
        return "failed", {}, fit_error(describe(error, {}))


def _as_count(type_: str, n: int, processed: int | None, last_id: object) -> Count:
    """Return a count, or raise what `Job.advance` says."""
    number, done = check_count(type_, n, processed)
    return type_, number, done, as_cursor(last_id)


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


# The end of a job must not be lost between two of their lines.
guard.keep_whole(Job.start, Job.__enter__, Job.__exit__, Job._end)  # noqa: SLF001 - here
