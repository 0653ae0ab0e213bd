"""One job: the methods with which a crawler reports on it."""

import asyncio
import json
import logging
import threading
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from tallymark.client.begun import Begun, Places, cursor_of, left_to_do
from tallymark.client.checks import MOST, as_state, check_fields, check_type, is_whole, parts_of
from tallymark.client.failure import describe
from tallymark.client.frontier import Node
from tallymark.client.keys import as_sent, check_key, digest, digest_of_any_type
from tallymark.client.listener import Listener
from tallymark.client.process import InheritedError, current
from tallymark.client.progress import Count, Progress, Reply
from tallymark.client.questions import parts_of_keys, unseen_in, unseen_question
from tallymark.client.recorder import Recorder
from tallymark.client.records import Position
from tallymark.client.resume import DeliveryError, Habits, Resume
from tallymark.client.sender import Sender
from tallymark.client.tracking import Tracker, as_cursor, follow, follow_async, wants_bar
from tallymark.client.updates import Fields, clean, prepare, updates_wait

Item = TypeVar("Item")
_log = logging.getLogger("tallymark.client")


class Job:
    """A run of a job, made by `ProgressClient.job`. Safe across threads, and in signal handlers.

    A context manager: entering reports `started`, leaving reports how the run ended. The client's own threads send all
    reports, so only `start`, `flush` and the methods that end the job wait for the server, and `refused` for the disk.
    The keys of counts are in memory, about 115 MB for a million, and of those that the server counts no more than a
    million. In the child of a fork, all methods raise a RuntimeError, and leaving the block does nothing.

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
            self._sender.add(channel)
            until = time.monotonic() + self._habits.start_timeout
            while not listener.is_answered and not self._cannot_answer() and time.monotonic() < until:
                listener.answered.wait(0.05)
            if not listener.is_answered and not self._sender.is_sender():
                self._sender.give_up()
            self._say_and_wait(Progress.begin)
            progress = self._recorder.progress
            self.resume = progress.resume
            self._places = Places(self._recorder, progress.frontier.told)
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
        kept = as_state(state)
        self._end("paused", {"progress": kept, **fields}, kept)

    def cancel(self, **fields: Any) -> None:  # noqa: ANN401 - any JSON
        """Report that the crawl was cancelled. `fields`: other fields."""
        self._end("cancelled", fields)

    def fail(self, error: BaseException | str, **context: Any) -> None:  # noqa: ANN401 - any JSON
        """Report that the crawl failed. `context`: details for the error, such as a URL; the cursor is added."""
        self._end("failed", {}, error=clean(describe(error, context)))

    def _end(
        self, status: str, fields: Mapping[str, Any], state: object = None, error: Mapping[str, Any] | None = None
    ) -> None:
        """Report how the job ended, once, and wait for the server, `end_timeout` at most."""
        recorder = self._started()
        if recorder.has_ended:
            return
        # Values that are not JSON raise an exception here, before anything has changed.
        seq = self._say_end(recorder, status, prepare(fields), state, error)
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
            n: How many. 0 with a key marks that key as counted, in this client.
            last_id: The cursor: the last item that is done. It is sent in the same update as the count. Where items end
                in any order, use `item` in its place.
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
            TypeError: An argument has the wrong type.
            ValueError: A number is out of range, the type is empty or longer than 100, or the cursor longer than 255.
        """
        count = _as_count(type, n, processed, last_id)
        recorder = self._started()
        if not (recorder.count(count, None) if key is None else self._count_key(recorder, count, key)):
            return False
        if recorder.is_due(n):
            self._sender.wake()
        return True

    def _count_key(self, recorder: Recorder, count: Count, key: str, node: Node | None = None) -> bool:
        type_, n = count[:2]
        check_key(key)
        if recorder.has_old_keys and recorder.has_counted(digest_of_any_type(key)):
            if node is not None:
                recorder.count((type_, 0, 0, None), None, None, node)
            return False
        # More than one item cannot be counted by one key on the server.
        return recorder.count(count, digest(type_, key), key if n == 1 else None, node)

    def seen(self, key: str, type: str | None = None) -> bool:  # noqa: A002
        """Return whether this client has counted a key, in this run or an earlier one. `type`: None for any type."""
        recorder = self._started()
        if recorder.has_old_keys and recorder.has_counted(digest_of_any_type(check_key(key))):
            return True
        types = recorder.types_with_keys() if type is None else (type,)
        return any(recorder.has_counted(digest(one, check_key(key))) for one in types)

    def unseen(self, keys: Iterable[str], type: str = "items") -> list[str]:  # noqa: A002
        """Return the keys that the job has not counted yet, for workers that share a list. Waits for the server.

        Keys that this client has counted are left out, sent or not. If the server does not answer, all others are
        returned, with a warning in the log: they may be crawled twice, but count once.

        Args:
            keys: The keys, in any number; asked in parts of 1,000.
            type: The items' type.

        Returns:
            The keys that were not counted, in their order, each once.
        """
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
        if recorder.is_due(n):
            self._sender.wake()
        return counts

    def leave_open(self, node: Node) -> None:
        """Note that an item has failed; see `Begun`."""
        if self._pid == current.pid:
            self._line().leave_open(node)

    def total(self, number: int) -> None:
        """Report how many items are expected in all: a whole number from 0 to 2^53 - 1, else a ValueError is raised."""
        if not isinstance(number, int) or not 0 <= number <= MOST:  # type: ignore[redundant-expr]
            raise ValueError("the total must be a whole number from 0 to 2^53 - 1")
        self._say(Progress.expect, number)

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
            if not isinstance(total, int) or not 0 <= total <= MOST:  # type: ignore[redundant-expr]
                raise ValueError("the total must be a whole number from 0 to 2^53 - 1")
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
        """
        self._announce({"stage": name, "operationType": operation, "currentDataType": data_type})

    def discovered(self, areas: Sequence[Mapping[str, Any]]) -> None:
        """Report areas, each with at least `type` and `fullPath`. The server counts those that are new to the job."""
        parts = [clean(part) for part in parts_of([dict(area) for area in areas], self._habits.max_bytes)]
        self._say(Progress.discover, parts)
        self._sender.wake()

    def credential(self, what: Literal["expiry", "renewal", "resumed"], **status: Any) -> None:  # noqa: ANN401 - any JSON
        """Report a change of the crawl's credential.

        Args:
            what: The credential expired (`expiry`), waits for its renewal (`renewal`) or works again (`resumed`).
            status: Members of `credentialStatus`: `type`, `severity`, `errorType`, `providerId`, `message`, ...

        Raises:
            ValueError: `what` is none of the three.
        """
        if what not in {"expiry", "renewal", "resumed"}:
            raise ValueError("the first argument must be expiry, renewal or resumed")
        self._announce({"credentialStatus": {"timestamp": _now(), **status}}, f"credential_{what}")

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

        Raises:
            TypeError: A value is not JSON.
            ValueError: A field is one that the client sets itself.
        """
        check_fields(fields)
        self._say(Progress.give, prepare(fields))

    def event(self, name: str, details: Mapping[str, Any] | None = None) -> None:
        """Add an entry of the crawler's own to the timeline. `details`: any JSON object."""
        event = clean({"timestamp": _now(), "event": name, "details": dict(details or {})})
        self._say(Progress.add_event, event, len(json.dumps(event, allow_nan=False)))

    def error(self, error: BaseException | str, **context: Any) -> None:  # noqa: ANN401 - any JSON
        """Report an error that does not end the job. `context`: details, such as a URL."""
        self._announce({"error": describe(error, context)})

    def _announce(self, fields: Mapping[str, Any], status: str = "processing") -> None:
        """Report something that people wait for: it is sent at once."""
        self._say(Progress.announce, prepare(fields), status)
        self._sender.wake()

    # --- delivery and commands ----------------------------------------------------------------------------------------

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until all reports so far are safe.

        Args:
            timeout: Seconds to wait for the server, as long as it answers at all.

        Returns:
            True if the server has them, False if the spool on disk has them.

        Raises:
            DeliveryError: Neither has them: there is no spool, or its disk does not work.
        """
        seq = self._say_and_wait(Progress.flush)
        channel = self._started().channel
        durable = channel.outbox.is_durable

        def is_in_vain() -> bool:
            return (durable and self._sender.is_away) or self._sender.is_sender() or channel.is_held

        if channel.wait(seq, timeout, is_in_vain):
            return True
        if not channel.outbox.is_durable:
            raise DeliveryError(
                f"job {self.id}: {updates_wait(len(channel.outbox))} in memory only, and the server did not answer:"
                " call flush() again, or give the client a spool on a working disk"
            )
        return False

    async def aflush(self, timeout: float = 10.0) -> bool:  # noqa: ASYNC109 - the same as `flush` has
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
    return "failed", {}, clean(describe(error, {}))


def _as_count(type_: object, n: object, processed: int | None, last_id: object) -> Count:
    """Return a count, or raise what `Job.advance` says."""
    if not isinstance(type_, str) or not is_whole(n):
        raise TypeError("the type must be text, and n a whole number")
    check_type(type_)
    if not 0 <= n <= MOST or (processed is not None and not 0 <= processed <= MOST):
        raise ValueError("a count must be from 0 to 2^53 - 1: items that were counted cannot be taken back")
    return type_, n, processed, as_cursor(last_id)


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
