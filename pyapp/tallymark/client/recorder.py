"""Records the reports of a job and brings them into its outbox.

**The crawl's threads take no lock.** Each report is one tuple, appended to a deque in one call in C: a count with its
cursor, or another report with the state of the loops at that moment. An exception that a signal handler raises at any
line comes before or after that append. So no report is recorded in part, nothing stays locked, and a signal handler may
report, too.

**The client's threads fold the log** into a `Progress`. They never change the current one: they change a copy and
replace, in one assignment, both the `Progress` and the list of entries that were taken from the log.

**A key counts once.** The digests of counted keys are in one dictionary, which is read from the outbox at the start;
about 115 bytes each. Of those that the server counts once, the newest million are kept. A count with a key is appended
first, and then claims its key with one `dict.setdefault`. The fold counts only the claim that has its key, and claims
the key where an exception came between the two. So a key that was claimed is always counted, and with the values of the
claim.

**A count that returned True is counted**, also while another thread ends the job. When the fold finds the end, it sets
`has_ended`, replaces the log, and folds what is left in the old one before the end. A thread that appended to the old
log afterwards finds it replaced, takes its count back out of it, and returns False.
"""

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain, repeat, starmap
from typing import Any, NamedTuple, Self

from tallymark.client.channel import Channel
from tallymark.client.clock import Clock
from tallymark.client.frontier import Node, Worth
from tallymark.client.keys import is_of_any_type
from tallymark.client.log import Seldom, log as _log
from tallymark.client.outbox import Outbox
from tallymark.client.progress import Count, Progress, Reply
from tallymark.client.records import Position
from tallymark.client.resume import Habits, Resume
from tallymark.client.tracking import Sample, Tracker

#: Updates are sent at least this far apart, except those that people wait for.
_SHORTEST_GAP_SECONDS = 0.1
#: The log is folded when it has this many entries, whether an update is due or not: that bounds its memory.
_MOST_ENTRIES = 10_000
#: While the outbox lacks more keys than this, a count with a key takes this many seconds longer.
_MOST_KEYS = 10_000
_SLOWER_SECONDS = 0.001
#: How many keys are remembered that the server counts, about 115 bytes each.
_MOST_KNOWN = 1_000_000
#: The reports after which no other counts.
_ENDS = frozenset({Progress.end, Progress.put_away})
_TOO_LATE = "has ended; a report made after its end is dropped"


class _Said(NamedTuple):
    """A report that is not a count: a method of `Progress`, its arguments, and where the loops were."""

    method: Callable[..., None]
    args: tuple[Any, ...]
    samples: Sequence[Sample]
    reply: Reply | None


class _Claim:
    """A count of a key. `text`: the key, if it is sent; `node`: the item in work; `is_counted`: it was folded."""

    __slots__ = ("count", "is_counted", "key", "node", "text")

    def __init__(self, key: bytes, count: Count, text: str | None, node: Node | None) -> None:
        self.key = key
        self.count = count
        self.text = text
        self.node = node
        self.is_counted = False


class _Finish(NamedTuple):
    """The end of an item in work, and what it counts."""

    node: Node
    worth: Worth | None


#: A report in the log. A node: the item is begun.
_Entry = Count | _Claim | _Said | _Finish | Node


class Recorder:
    """Records the reports of one job."""

    def __init__(self, channel: Channel, position: Position, resume: Resume, habits: Habits) -> None:
        """Start at a position, with the update `started`."""
        self.channel = channel
        #: The number of the last update that was put into the outbox.
        self.seq = 0
        #: Whether the end was reported.
        self.has_ended = False
        self._habits = habits
        self._log: deque[_Entry] = deque()
        #: The log before the end was folded.
        self._old_log: deque[_Entry] | None = None
        #: The digests of the keys that are counted. The value is None when the outbox has the key.
        self._keys: dict[bytes, _Claim | None] = {}
        #: Whether some of them are of an earlier release, which did not tell types apart.
        self.has_old_keys = False
        #: The types of keys that were counted in this run.
        self._types: dict[str, None] = {}
        #: Digests of keys that the server counts, oldest first: what may be forgotten.
        self._sent: deque[bytes] = deque()
        self._is_behind = False
        self._trackers: list[Tracker] = []
        #: The number of log entries at which the keeper is woken.
        self._wake_at = habits.every_items
        self._lock = threading.Lock()
        progress = Progress(position, Clock(position.clock), max_bytes=habits.max_bytes, resume=resume)
        # What was said of an earlier run, such as that it was interrupted, is not true of this one.
        self.start_id = progress.seal("started", message="")
        #: The folded reports, and the entries that were taken from the log but are not folded yet.
        self._now: tuple[Progress, list[_Entry]] = (progress, [])
        self._since: float | None = None
        self._last_cut = 0.0
        self._late = Seldom()
        self._is_over = False

    @classmethod
    def resume(cls, channel: Channel, position: Position, habits: Habits) -> Self:
        """Start where the spool says, or at the beginning, and become the channel's source."""
        before = channel.ask(Outbox.position)
        resume = Resume()
        if before is not None:
            if before.completed:
                # The crawl starts from the beginning. The server counts each key once all the same.
                channel.ask(Outbox.forget_counted)
            position = replace(
                before,
                register=position.register,
                attributes=position.attributes,
                parent=position.parent,
                completed=False,
            )
            counts = dict(before.items_by_type)
            done = frozenset(before.done_beyond)
            resume = Resume(before.last_processed_id, before.state, counts, before.processed_items, "spool", done)
        channel.registers(position)
        recorder = cls(channel, position, resume, habits)
        counted = channel.ask(Outbox.counted)
        recorder.has_old_keys = any(map(is_of_any_type, counted))
        recorder._sent.extend(channel.ask(Outbox.sent))
        recorder._keys.update(dict.fromkeys(chain(counted, recorder._sent)))
        channel.source = recorder
        return recorder

    # --- called by the crawl's threads --------------------------------------------------------------------------------

    def count(self, count: Count, key: bytes | None, text: str | None = None, node: Node | None = None) -> bool:
        """Count items; return whether they count: they are new, and the job has not ended.

        `key`: the digest of their key; `text`: the key, if it is sent; `node`: the item in work that is done with them.
        """
        # Read before `has_ended`: the log is replaced after that is set.
        log = self._log
        if self.has_ended:
            self.warn_of_loss()
            return False
        entry: _Entry = count
        if key is None:
            if node is not None:
                entry = _Finish(node, (*count[:3], None) if count[1] or count[2] else None)
            log.append(entry)
        elif key in self._keys:
            self.pass_by(count, node)
            return False
        else:
            if self._is_behind:
                # The disk is slower than the crawl. This bounds the memory, and nothing is locked meanwhile.
                time.sleep(_SLOWER_SECONDS)
            self._types.setdefault(count[0])
            entry = claim = _Claim(key, count, text, node)
            log.append(claim)
            # The outbox may have the key by now.
            if self._keys.setdefault(key, claim) is not claim and not claim.is_counted:
                return False
        return self._log is log or self._was_in_time(log, entry)

    def pass_by(self, count: Count, node: Node | None) -> None:
        """Note that an item is done whose key was counted before. The crawl goes on after it all the same."""
        if node is not None:
            self._log.append(_Finish(node, None))
        elif (last_id := count[3]) is not None:
            self.say(Progress.pass_by, last_id)

    def place(self, node: Node) -> None:
        """Give an item that is begun its place, after all that were begun before."""
        self._log.append(node)

    def forget(self, node: Node) -> None:
        """Take an item out of `doneBeyond`, because the cursor has passed it in an earlier run."""
        self.say(Progress.forget, node)

    def tell_nothing_beyond(self, last: str | None) -> Sequence[str]:
        """Hold the items after the cursor, because the server does not keep them; return those that the spool has."""
        self.say(Progress.hold_beyond)
        position = self.progress.position
        return position.done_beyond if position.last_processed_id == last else ()

    def warn(self, what: str) -> None:
        """Log a warning about the job."""
        _log.warning("job %s %s", self.channel.job_id, what)

    def _was_in_time(self, log: deque[_Entry], entry: _Entry) -> bool:
        """Return whether a count was folded before the end; if not, take it back."""
        try:
            log.remove(entry)
        except ValueError:
            return True
        if isinstance(entry, _Claim):
            self._keys.pop(entry.key, None)
        self.warn_of_loss()
        return False

    def has_counted(self, key: bytes) -> bool:
        """Return whether a key was counted, in this run or an earlier one."""
        return key in self._keys

    def types_with_keys(self) -> Collection[str]:
        """Return the types among which keys may have been counted."""
        return {*self.progress.position.items_by_type, *self._types}

    def say(self, method: Callable[..., None], *args: object, reply: Reply | None = None) -> None:
        """Append a report that is not a count."""
        log, entry = self._log, _Said(method, args, self._samples(), reply)
        log.append(entry)
        if self._log is not log:
            with suppress(ValueError):
                log.remove(entry)
                # It is answered from there.
                self._log.append(entry)

    def tell(self, name: str, details: Mapping[str, Any]) -> None:
        """Append an entry of the client's own for the timeline, unless the job has ended."""
        if not self.has_ended:
            event = {"timestamp": datetime.now(UTC).isoformat(), "event": name, "details": dict(details)}
            self.say(Progress.add_event, event, len(json.dumps(event)))

    def warn_of_loss(self) -> None:
        """Log that a report came too late."""
        self._tell([_TOO_LATE])

    def is_due(self, number: int) -> bool:
        """Return whether to wake the keeper after this many items were counted in one call."""
        if number < self._wake_at and len(self._log) < self._wake_at:
            return False
        self._wake_at = _MOST_ENTRIES
        return True

    def begin_loop(self, tracker: Tracker) -> None:
        """Take samples of a loop from now on."""
        self._trackers.append(tracker)
        if tracker.total is not None:
            self.say(Progress.begin_loop, tracker, tracker.total)

    def end_loop(self, tracker: Tracker) -> None:
        """Take the last sample of a loop."""
        self.say(Progress.end_loop, tracker)
        self._trackers.remove(tracker)

    def trackers(self) -> list[Tracker]:
        """Return the trackers of the loops that run."""
        return self._trackers.copy()

    def _samples(self) -> Sequence[Sample]:
        return [(tracker, tracker.at) for tracker in self.trackers()] if self._trackers else ()

    # --- called by the client's threads -------------------------------------------------------------------------------

    @property
    def progress(self) -> Progress:
        """The reports folded so far; not to be changed."""
        return self._now[0]

    def shorten_log(self) -> None:
        """Fold the log if it is long, because the keeper may be waiting for the disk."""
        if len(self._log) >= _MOST_ENTRIES:
            with self._lock:
                notes = self._fold()
            self._tell(notes)

    def write(self, now: float) -> None:
        """Put what is due into the outbox. Called by the keeper only; `now` is monotonic, in seconds."""
        with self._lock:
            notes = self._fold()
            progress = self._cut(now)
        self._tell(notes)
        if progress is None:
            return
        try:
            if progress.sealed:
                self.seq = self.channel.put(progress.sealed, progress.position, self._to_forget())
            else:
                self.channel.check()
        except BaseException as error:
            self._keep_after(progress, sealed=False)
            _answer(progress.replies, error)
            raise
        self._keep_after(progress, sealed=True)
        for update in progress.sealed:
            for key in chain(update.keys, update.sent):
                self._keys[key] = None
            self._sent.extend(update.sent)
        if progress.is_over and not self._is_over:
            self._is_over = True
            self.channel.end(completed=progress.position.completed)
        _answer(progress.replies, self.seq)

    def _to_forget(self) -> list[bytes]:
        """Forget the oldest of many keys, because the server counts them once; return them."""
        forgotten: list[bytes] = []
        while len(self._sent) > _MOST_KNOWN and self.channel.counts_keys:
            forgotten.append(self._sent.popleft())
            self._keys.pop(forgotten[-1], None)
        return forgotten

    def _fold(self) -> list[str | Exception]:
        """Fold the entries of the log; return what to log about them. The caller holds the lock."""
        # Samples come before the log: items that a loop finishes after a report must not count before it.
        samples = self._samples()
        old, taken = self._now
        _drain(self._log, taken)
        if not taken and all(old.tracked.get(tracker, 0) == at[0] for tracker, at in samples):
            return []
        new = old.copy()
        new.sends_keys = self.channel.counts_keys is not False
        new.forget_loops()
        defects: list[Exception] = []
        claims: list[_Claim] = []
        ends: list[_Said] = []
        for entry in taken:
            try:
                if isinstance(entry, _Said) and entry.method in _ENDS and not new.has_ended:
                    ends.append(entry)
                    # The loop goes on with what this adds.
                    self._shut(taken)
                else:
                    self._fold_one(new, entry, claims)
            except Exception as error:  # noqa: BLE001 - it is logged; the other reports count
                defects.append(error)
        _finish(new, self._samples() if ends else samples, ends)
        self._now = (new, [])
        self._is_behind = new.waiting_keys > _MOST_KEYS
        for claim in claims:
            claim.is_counted = True
        return [*new.notices, *defects]

    def _fold_one(self, new: Progress, entry: _Entry, claims: list[_Claim]) -> None:
        if isinstance(entry, _Said):
            _take(new, entry)
        elif new.has_ended:
            new.notices.append(_TOO_LATE)
        elif isinstance(entry, _Finish):
            new.finish(entry.node, entry.worth)
        elif isinstance(entry, tuple):
            new.count(entry)
        elif isinstance(entry, Node):
            new.place(entry)
        elif self._keys.setdefault(entry.key, entry) is entry:
            new.count_key(entry.count, entry.key, entry.text, entry.node)
            claims.append(entry)
        elif entry.node is not None:
            new.finish(entry.node, None)
        elif (last_id := entry.count[3]) is not None:
            new.pass_by(last_id)

    def _shut(self, taken: list[_Entry]) -> None:
        """Accept no more counts, and take those that the log has by now."""
        self.has_ended = True
        if self._old_log is None:
            self._old_log, self._log = self._log, deque()
        for tracker in self.trackers():
            # Its next item is too late; see `Job._look_at_loop`.
            tracker.wake_at = 0
        _drain(self._old_log, taken)

    def _cut(self, now: float) -> Progress | None:
        """Seal what is due and return it with all that waits; None if nothing is due. The caller holds the lock."""
        progress, habits = self.progress, self._habits
        if not progress.has_any:
            self._wake_at = habits.every_items
            return None
        if self._since is None:
            self._since = now
        items = progress.pending.items
        due = progress.is_urgent or bool(progress.sealed) or items >= habits.every_items
        late = now - self._since >= habits.every_seconds
        too_soon = not progress.is_urgent and now - self._last_cut < _SHORTEST_GAP_SECONDS
        if not progress.replies and (too_soon or not (due or late)):
            self._wake_at = _MOST_ENTRIES if due else max(1, habits.every_items - items)
            return None
        new = progress.copy()
        new.seal_pending()
        new.is_urgent = False
        self._now = (new, self._now[1])
        self._since, self._last_cut = None, now
        self._wake_at = habits.every_items
        for tracker in () if self.has_ended else self.trackers():
            tracker.wake_at = tracker.at[0] + habits.every_items
        return new

    def _keep_after(self, written: Progress, *, sealed: bool) -> None:
        """Keep the reports made since; the replies count as given in any case."""
        with self._lock:
            new = self.progress.copy()
            if sealed:
                new.sealed = new.sealed[len(written.sealed) :]
                self._is_behind = new.waiting_keys > _MOST_KEYS
            new.replies = new.replies[len(written.replies) :]
            self._now = (new, self._now[1])

    def _tell(self, notes: list[str | Exception]) -> None:
        """Log what a fold noticed; without the lock, because a log handler may report on the job."""
        for note in notes:
            if not isinstance(note, str):
                self.channel.refusals.add(f"a report is lost by a defect in the client: {note!r}")
                _log.error("job %s: a report is lost by a defect in the client", self.channel.job_id, exc_info=note)
            elif note != _TOO_LATE or self._late.again():
                _log.warning("job %s %s", self.channel.job_id, note)


def _drain(log: deque[_Entry], taken: list[_Entry]) -> None:
    # One call in C, so that an entry is always either in the log or in `taken`.
    # A late count may have been taken back meanwhile.
    with suppress(IndexError):
        taken.extend(starmap(log.popleft, repeat((), len(log))))


def _take(new: Progress, entry: _Said) -> None:
    if entry.reply is not None:
        new.replies.append(entry.reply)
    if not new.has_ended:
        new.sample(entry.samples)
        new.settle()
        entry.method(new, *entry.args)


def _finish(new: Progress, samples: Sequence[Sample], ends: list[_Said]) -> None:
    if not new.has_ended:
        new.sample(samples)
        new.settle()
    for end in ends:
        _take(new, end)


def _answer(replies: list[Reply], result: int | BaseException) -> None:
    for reply in replies:
        reply.put(result)
