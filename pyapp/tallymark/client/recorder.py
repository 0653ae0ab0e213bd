"""What the crawl's threads say of a job, on its way into the outbox.

**The crawl's side takes no lock.** All it does is append one tuple to a deque, in one call in C: a count and its
cursor, or whatever else is said, with where the loops were at that moment. An exception that a signal handler raises at
any line comes before that append or after it. So nothing is ever half said, nothing stays locked, and a handler may
itself say something.

**The client's threads fold the log** into a `Progress`, and never change the one there is: they change a copy, which
takes its place, with what was taken from the log, by one assignment.

**A key counts once.** It is claimed by one `dict.setdefault`, then the disk is asked, then the claim is appended to the
log. The fold counts a claim once, however often it is there, and only while it is the one that stands for its key. So a
claim that an exception left without an append does no harm: the next call with that key appends it. Claims are
forgotten when the outbox has their keys.
"""

import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import repeat, starmap
from typing import Any, NamedTuple, Self

from tallymark.client.channel import Channel
from tallymark.client.clock import Clock
from tallymark.client.progress import Count, Progress, Reply
from tallymark.client.records import Position
from tallymark.client.resume import Habits, Resume
from tallymark.client.tracking import Sample, Tracker

_log = logging.getLogger("tallymark.client")

#: An update goes out at once when it says something that people wait for, else not sooner than this after the last.
_SHORTEST_GAP_SECONDS = 0.1
#: So many entries of the log are folded at once, whether an update is due or not: that bounds the memory they take.
_MOST_ENTRIES = 10_000


class _Said(NamedTuple):
    """An entry of the log that is no count: a method of `Progress`, and where the loops were."""

    method: Callable[..., None]
    args: tuple[Any, ...]
    samples: Sequence[Sample]
    reply: Reply | None


class _Claim:
    """A count of what has a key, by a thread. It is said when it was appended, and counted when that was folded."""

    __slots__ = ("count", "is_counted", "is_said", "key", "thread")

    def __init__(self, key: bytes, count: Count) -> None:
        self.key = key
        self.count = count
        self.thread = threading.get_ident()
        self.is_said = self.is_counted = False


class Recorder:
    """Takes what is said of one job, and gives it to its channel."""

    def __init__(self, channel: Channel, position: Position, resume: Resume, habits: Habits) -> None:
        """Begin at a position, with the update that says `started`."""
        self.channel = channel
        #: The place in the outbox of the last update that was put there.
        self.seq = 0
        #: Whether the end was said.
        self.has_ended = False
        self._habits = habits
        self._log: deque[Count | _Claim | _Said] = deque()
        self._claims: dict[bytes, _Claim] = {}
        self._trackers: list[Tracker] = []
        #: At how many entries of the log the keeper wants to be woken.
        self._wake_at = habits.every_items
        self._lock = threading.Lock()
        progress = Progress(position, Clock(position.clock), max_bytes=habits.max_bytes, resume=resume)
        self.start_id = progress.seal("started")
        #: And what was taken from the log and is not in it yet.
        self._now: tuple[Progress, list[Count | _Claim | _Said]] = (progress, [])
        self._since: float | None = None
        self._last_cut = 0.0
        self._is_over = False

    @classmethod
    def resume(cls, channel: Channel, position: Position, habits: Habits) -> Self:
        """Begin with what the spool knows of a job, or at the start, and be the channel's source."""
        before = channel.outbox.position()
        resume = Resume()
        if before is not None:
            if before.completed:
                # As where the server knows the end: what is crawled again counts again, from where it was.
                channel.outbox.forget_counted()
            position = replace(before, register=position.register, attributes=position.attributes, completed=False)
            counts = dict(before.items_by_type)
            resume = Resume(before.last_processed_id, before.state, counts, before.processed_items, "spool")
        channel.register, channel.attributes = position.register, position.attributes
        recorder = cls(channel, position, resume, habits)
        channel.source = recorder
        return recorder

    # --- the crawl's side -----------------------------------------------------------------------------------------

    def count(self, count: Count, key: bytes | None) -> bool:
        """Count items; return whether they were new."""
        if key is None:
            self._log.append(count)
            return True
        mine = _Claim(key, count)
        claim = self._claims.setdefault(key, mine)
        if claim.is_said:
            return False
        if self._is_on_disk(key):
            # Somebody else may have appended our claim while we waited for the disk.
            if claim is mine:
                self._claims.pop(key, None)
            return claim is mine and mine.is_counted
        self._log.append(claim)
        claim.is_said = True
        # It is this thread's, too, where an interrupted call left it; another thread's is being said there.
        return claim.thread == mine.thread

    def has_counted(self, key: bytes) -> bool:
        """Say whether a key was counted, in this run or one before."""
        return key in self._claims or self._is_on_disk(key)

    def say(self, method: Callable[..., None], *args: object, reply: Reply | None = None) -> None:
        """Say anything else."""
        self._log.append(_Said(method, args, self._samples(), reply))

    def is_due(self, number: int) -> bool:
        """Say whether to wake the keeper, after so many items were counted at once."""
        if number < self._wake_at and len(self._log) < self._wake_at:
            return False
        self._wake_at = _MOST_ENTRIES
        return True

    def begin_loop(self, tracker: Tracker) -> None:
        """Take samples of a loop from now on."""
        self._trackers.append(tracker)

    def end_loop(self, tracker: Tracker) -> None:
        """Take the last one."""
        self.say(Progress.end_loop, tracker)
        self._trackers.remove(tracker)

    def trackers(self) -> list[Tracker]:
        """Return those of the loops that run."""
        return self._trackers.copy()

    def _samples(self) -> Sequence[Sample]:
        return [(tracker, tracker.at) for tracker in self.trackers()] if self._trackers else ()

    def _is_on_disk(self, key: bytes) -> bool:
        try:
            return self.channel.outbox.has_counted(key)
        except sqlite3.ProgrammingError:
            # It was closed, as the job has ended.
            return False

    # --- the client's threads -------------------------------------------------------------------------------------

    @property
    def progress(self) -> Progress:
        """What was folded so far; it is not to be changed."""
        return self._now[0]

    def shorten_log(self) -> None:
        """Fold the log where it has become long: the keeper may wait for the disk."""
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
        for tracker in self.trackers():
            tracker.draw()
        if progress is None:
            return
        try:
            if progress.sealed:
                self.seq = self.channel.put(progress.sealed, progress.position)
        except BaseException as error:
            self._keep_after(progress, sealed=False)
            _answer(progress.replies, error)
            raise
        self._keep_after(progress, sealed=True)
        for update in progress.sealed:
            for key in update.keys:
                self._claims.pop(key, None)
        if progress.is_over and not self._is_over:
            self._is_over = True
            self.channel.end(completed=progress.position.completed)
        _answer(progress.replies, self.seq)

    def _fold(self) -> list[str | Exception]:
        """Take what is in the log; return what is to be told. The lock is held."""
        # The samples first: what a loop does after something was said must not count before that.
        samples = self._samples()
        old, taken = self._now
        # One call in C: an entry is in the log, or here.
        taken.extend(starmap(self._log.popleft, repeat((), len(self._log))))
        if not taken and all(old.tracked.get(tracker, 0) == at[0] for tracker, at in samples):
            return []
        new = old.copy()
        new.forget_loops()
        defects: list[Exception] = []
        claims: set[_Claim] = set()
        for entry in taken:
            try:
                if isinstance(entry, _Said):
                    _take(new, entry)
                elif new.has_ended:
                    new.notices.append("has ended; what is said after that is not sent")
                elif isinstance(entry, tuple):
                    new.count(entry)
                elif self._is_first(entry, claims):
                    new.count(entry.count, entry.key)
                    claims.add(entry)
            except Exception as error:  # noqa: BLE001 - it is told; what else was said goes on
                defects.append(error)
        if not new.has_ended:
            new.sample(samples)
        self._now = (new, [])
        for claim in claims:
            claim.is_counted = True
        return [*new.notices, *defects]

    def _is_first(self, claim: _Claim, claims: set[_Claim]) -> bool:
        return not claim.is_counted and claim not in claims and self._claims.get(claim.key) is claim

    def _cut(self, now: float) -> Progress | None:
        """Seal what is due, and return it with all that waits; None where nothing does. The lock is held."""
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
        for tracker in self.trackers():
            tracker.wake_at = tracker.at[0] + habits.every_items
        return new

    def _keep_after(self, written: Progress, *, sealed: bool) -> None:
        """Keep what was said since; replies are given in any case."""
        with self._lock:
            new = self.progress.copy()
            if sealed:
                new.sealed = new.sealed[len(written.sealed) :]
            new.replies = new.replies[len(written.replies) :]
            self._now = (new, self._now[1])

    def _tell(self, notes: list[str | Exception]) -> None:
        """Log what a fold noticed; without the lock, for a handler may say something of the job."""
        for note in notes:
            if isinstance(note, str):
                _log.warning("job %s %s", self.channel.job_id, note)
            else:
                _log.error("job %s: a defect, something was not kept", self.channel.job_id, exc_info=note)


def _take(new: Progress, entry: _Said) -> None:
    if entry.reply is not None:
        new.replies.append(entry.reply)
    if not new.has_ended:
        new.sample(entry.samples)
        entry.method(new, *entry.args)


def _answer(replies: list[Reply], result: int | BaseException) -> None:
    for reply in replies:
        reply.put(result)
