"""Updates that wait at the same moment share a call of the database.

PostgreSQL does much of its work once a transaction, so merging 16 updates in one takes a third of the time of 16
transactions. A request that finds its line empty calls the database at once, by itself. Those that come meanwhile wait,
and one of them then makes the next call, for all of them. Nobody waits for a group to fill.

One call at a time is made for all of them: with two at a time the groups were half as large, and 16 connections got
four fifths as many updates a second. Batches and large updates have a few lines beside it, each by itself.

A call for several updates does not wait for a job that another transaction holds, such as that of a SQL caller, and a
call for one waits 20 ms at most, or 1 ms if a job was held lately: the updates of that job are given back unmerged.
They go into a line of that job's own. Most jobs are held by another group, or a batch, so the line's calls first wait
for 50 ms. Only if the job is still held then, they wait for as long as `lock_timeout` allows; there are only a few such
calls at once. So a job that is held for long keeps its own crawlers waiting, and nobody else's.
"""

import json
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from threading import BoundedSemaphore, Lock
from typing import NamedTuple

from tallymark.functions.errors import (
    LOCK_NOT_AVAILABLE,
    UNTRANSLATABLE,
    TallymarkError,
    Unavailable,
    from_refusal,
)
from tallymark.functions.http import GROUP_SIZES, RECEIVE_GROUP, RECEIVE_PROGRESS, Statement
from tallymark.web.db.patience import MOMENT, Patience, job_of, too_many
from tallymark.web.db.pool import Database

#: The most updates of a group, and the most bytes of one that may be in a group: a larger one would hold up the others.
_MAX_GROUP = GROUP_SIZES[-1]
_MAX_BYTES = 16_384
#: How many calls may wait briefly at once, each for a job that somebody holds.
BRIEF_CALLS = 2
#: For how many milliseconds. A group is over in less, also on a slow disk.
_BRIEF = b"50"


#: An update that took so long by itself is for a job that goes alone for a while; how many such jobs are remembered.
_SLOW_SECONDS = 0.25
_SLOW_FOR_SECONDS = 60.0
_MOST_SLOW = 1000
#: For how long after a job was held a call of the common line waits so many milliseconds for one, at most.
_CAREFUL_SECONDS = 30.0
_GLANCE = b"1"
_ARRAY = re.compile(rb"\s*\[")


class _Held(NamedTuple):
    """What became of an update whose job another transaction holds: it is not merged yet."""

    job: bytes


#: What became of an update: its answer, an error, or that its job is held.
_Outcome = bytes | BaseException | _Held


class _Update:
    """An update, or a batch, on its way. Its line and what follows belong to the merger's lock."""

    __slots__ = ("awake", "body", "goes_alone", "key", "leads", "line", "outcome", "prefix", "sleeps")

    def __init__(self, body: bytes, key: bytes | None, prefix: bytes | None) -> None:
        self.body = body
        self.key = key
        self.prefix = prefix
        self.goes_alone = len(body) > _MAX_BYTES or _ARRAY.match(body) is not None
        self.line: _Line
        #: Whether its thread makes the next call of its line.
        self.leads = False
        self.outcome: _Outcome | None = None
        #: Whether its thread must wait for `awake` before it looks at any of these. Only that thread ends this.
        self.sleeps = False
        #: Released once, when an update that sleeps leads, or has an outcome.
        self.awake = Lock()
        self.awake.acquire()


class _Line:
    """Updates that wait for one call after the other; `job` is the job that is held, None for other lines.

    `key` is the name of a held job's line. A batch has a line of its own, because it may wait for any of its jobs.
    """

    __slots__ = ("busy", "job", "key", "waiting")

    def __init__(self, job: bytes | None = None, key: bytes = b"") -> None:
        self.job = job
        self.key = key
        self.busy = False
        self.waiting: deque[_Update] = deque()

    @property
    def length(self) -> int:
        """How many wait or are being merged, a whole group counting as one."""
        return len(self.waiting) + self.busy


class Merger:
    """Merges updates, several in one call of the database where several wait; `rejected` counts those turned away."""

    def __init__(
        self,
        database: Database,
        patience: Patience,
        *,
        single_lines: int,
        max_waiting: int,
        max_wait: float,
        wake: Callable[[Sequence[Lock]], None],
        woken: Callable[[], None],
        seen: Callable[[int], None],
        register: bool = False,
    ) -> None:
        """Take the database and the limits.

        Args:
            database: Where to merge.
            patience: The places of calls that wait for held jobs.
            single_lines: How many batches and large updates are merged at once.
            max_waiting: How many updates may wait, beside those for jobs that are held.
            max_wait: For how many seconds each waits for its call.
            wake: Called with the locks of the threads that may go on.
            woken: Called by each of these threads.
            seen: Called with the size of each group.
            register: Whether an unknown job is registered by its first update.
        """
        self._database = database
        self._max_waiting = max_waiting
        self._max_wait = max_wait
        self._patience = patience
        self._wake = wake
        self._woken = woken
        self._seen = seen
        self._register = b"true" if register else b"false"
        self._lock = Lock()
        self._line = _Line()
        #: Where batches and large updates are merged one by one.
        self._alone = [_Line() for _ in range(single_lines)]
        self._held: dict[bytes, _Line] = {}
        self._brief = BoundedSemaphore(BRIEF_CALLS)
        #: Jobs whose updates take long, as their state is large, and until when they are merged by themselves.
        self._slow: dict[bytes, float] = {}
        self._careful_until = 0.0
        self.rejected = 0

    @property
    def waiting(self) -> int:
        """How many updates wait for their call."""
        with self._lock:
            return _total((self._line, *self._alone, *self._held.values()))

    def turns_away(self) -> bool:
        """Return whether there is no room for one more update, and count it if so."""
        with self._lock:
            is_full = self._line.busy and self._is_full()
            self.rejected += is_full
        return is_full

    def merge(self, body: bytes, key: bytes | None, prefix: bytes | None) -> bytes:
        """Merge an update, or a batch, as receive_progress does, and return its answer.

        Raises:
            TallymarkError: It was refused, or failed; nothing of it was merged, unless the connection broke.
        """
        mine = _Update(body, key, prefix)
        with self._lock:
            if self._slow and self._slow.get(job_of(body), 0.0) > time.monotonic():
                mine.goes_alone = True
            if mine.goes_alone:
                line = min(self._alone, key=lambda alone: alone.length)
            elif self._held:
                job = job_of(body)
                # One of a foreign job is refused, which needs no wait.
                line = self._held.get(job, self._line) if job.startswith(prefix or b"") else self._line
            else:
                line = self._line
            self._enter(line, mine)
        while mine.sleeps or mine.leads:
            if mine.sleeps:
                self._sleep(mine)
            else:
                self._lead(mine)
        outcome = mine.outcome
        if isinstance(outcome, BaseException):
            try:
                raise outcome
            finally:
                # The error has this frame, which must not have the error: both, and the body, would stay in memory.
                del outcome, mine
        assert isinstance(outcome, bytes)  # noqa: S101 - for the type checker: what is held has no outcome yet
        return outcome

    def _enter(self, line: _Line, update: _Update) -> None:
        """Put an update into a line: it leads where the line is empty. The caller has the lock."""
        update.line = line
        if line.job is None:
            is_full = self._is_full()
        else:
            # A job with less than its share of the places gets one more: others do not feel a flood for one job.
            lines, most = self._held.values(), self._patience.most
            share = most / len({line.job, *(held.job for held in lines)})
            of_job = sum(held.length for held in lines if held.job == line.job)
            is_full = of_job >= share and sum(held.length for held in lines) >= most
        if is_full and (line.busy or line.job is not None):
            self.rejected += 1
            update.outcome = too_many()
        elif not line.busy:
            line.busy = update.leads = True
            if line.job is not None:
                self._held[line.key] = line
        else:
            line.waiting.append(update)
            update.sleeps = True

    def _is_full(self) -> bool:
        return _total((self._line, *self._alone)) >= self._max_waiting

    def _sleep(self, mine: _Update) -> None:
        """Wait until an update leads or has an outcome. It is given up if it has waited for too long for its call."""
        while not mine.awake.acquire(timeout=self._max_wait):
            with self._lock:
                if mine in mine.line.waiting:  # else it is being merged
                    mine.line.waiting.remove(mine)
                    self.rejected += 1
                    mine.outcome = too_many()
                    mine.sleeps = False
                    return
        mine.sleeps = False
        if not mine.leads:
            self._woken()

    def _lead(self, mine: _Update) -> None:
        """Make the next call of a line, and hand it on."""
        line, group = mine.line, [mine]
        with self._lock:
            mine.leads = False
            while line.waiting and len(group) < _MAX_GROUP and not mine.goes_alone:
                group.append(line.waiting.popleft())
        outcomes: list[_Outcome]
        try:
            outcomes = self._call(line, group)
        except BaseException as error:  # noqa: BLE001 - the others must not wait forever
            outcomes = _for_each(error, group)
        with self._lock:
            ended = [
                update for update, outcome in zip(group, outcomes, strict=True) if self._settle(update, outcome, mine)
            ]
            if line.job is not None and isinstance(outcomes[0], Unavailable):
                # The others would only wait as long for the same job.
                for update in line.waiting:
                    update.outcome = copy(outcomes[0])
                ended.extend(line.waiting)
                line.waiting.clear()
                self.rejected += len(ended)
            if line.waiting:
                self._call_next(line.waiting.popleft())
            else:
                line.busy = False
                if line.job is not None:
                    del self._held[line.key]
        if sleepers := [update.awake for update in ended if update is not mine]:
            self._wake(sleepers)

    @staticmethod
    def _call_next(update: _Update) -> None:
        """Let an update's thread make the next call of its line."""
        update.leads = True
        update.awake.release()

    def _note_slow(self, job: bytes) -> None:
        with self._lock:
            if len(self._slow) >= _MOST_SLOW:
                self._slow.clear()
            self._slow[job] = time.monotonic() + _SLOW_FOR_SECONDS

    def _settle(self, update: _Update, outcome: _Outcome, mine: _Update) -> bool:
        """Give an update its outcome, or put it into the line of its held job; return whether it has an outcome."""
        if isinstance(outcome, _Held):
            self._careful_until = time.monotonic() + _CAREFUL_SECONDS
            # No job has a zero byte in its id.
            key = b"\0%d" % id(update) if update.goes_alone else outcome.job
            self._enter(self._held.get(key) or _Line(outcome.job, key), update)
            if update.leads and update is not mine:
                update.awake.release()
        else:
            # A traceback has frames, and these the bodies of the whole group.
            update.outcome = outcome.with_traceback(None) if isinstance(outcome, TallymarkError) else outcome
        return update.outcome is not None

    def _call(self, line: _Line, group: list[_Update]) -> list[_Outcome]:
        if line.job is None:
            if not group[0].goes_alone:
                self._seen(len(group))
            return self._merge(group, self._database)
        if not self._brief.acquire(timeout=self._max_wait):
            raise too_many()
        try:
            outcomes = self._merge(group, self._database, _at_most(_BRIEF, self._patience.lock_timeout))
        finally:
            self._brief.release()
        held = [update for update, outcome in zip(group, outcomes, strict=True) if isinstance(outcome, _Held)]
        if not held:
            return outcomes
        try:
            with self._patience.place(line.job):
                late = iter(self._merge(held, self._patience.patient, self._patience.lock_timeout, is_last=True))
        except Unavailable as error:
            late = iter(_for_each(error, held))
        return [next(late) if isinstance(outcome, _Held) else outcome for outcome in outcomes]

    def _merge(
        self, group: list[_Update], database: Database, lock_timeout: bytes | None = None, *, is_last: bool = False
    ) -> list[_Outcome]:
        """Merge a group in one call, which waits for held jobs for `lock_timeout` milliseconds, or not at all.

        If that was not the last attempt, updates of jobs that are still held come back as such.
        """
        try:
            # One by itself is merged faster so, but may wait for its job, and the line with it: hardly at all while
            # jobs are held, or were a while ago.
            if len(group) == 1 and lock_timeout is None and not group[0].goes_alone:
                [alone] = group
                began = time.monotonic()
                at_most = _GLANCE if began < self._careful_until else MOMENT
                [answer] = database.call(RECEIVE_PROGRESS, alone.body, alone.key, alone.prefix, at_most, self._register)
                if time.monotonic() - began > _SLOW_SECONDS:
                    self._note_slow(job_of(alone.body))
                return [answer or b""]
            statement, parameters = _grouped(group, lock_timeout)
            rows = database.rows(statement, *parameters, self._register)
            return [_outcome(*rows[number]) for number in range(len(group))]
        except TallymarkError as error:
            if error.sqlstate == LOCK_NOT_AVAILABLE and not is_last:
                return [_Held(job_of(update.body)) for update in group]
            is_one_at_fault = not isinstance(error, Unavailable) or error.sqlstate == UNTRANSLATABLE
            if not is_one_at_fault or len(group) == 1:
                return _for_each(error, group)
        # One of the bodies is not JSON, for instance, or the database's encoding lacks a character of it: halves find
        # out which.
        half = len(group) // 2
        halves = (group[:half], group[half:])
        return [outcome for part in halves for outcome in self._merge(part, database, lock_timeout, is_last=is_last)]


def _at_most(milliseconds: bytes, lock_timeout: bytes) -> bytes:
    """Return the smaller of two numbers of milliseconds, of which the second may be 0 for no limit."""
    return lock_timeout if 0 < int(lock_timeout) < int(milliseconds) else milliseconds


def _grouped(group: list[_Update], lock_timeout: bytes | None) -> tuple[Statement, list[bytes | None]]:
    """Return the statement for a group of this size, and its parameters but the last; places left over are empty."""
    size = next(size for size in GROUP_SIZES if size >= len(group))
    empty = [None] * (size - len(group))
    return RECEIVE_GROUP[size], [
        *(update.body for update in group),
        *empty,
        *(update.key for update in group),
        *empty,
        *(update.prefix for update in group),
        *empty,
        b"false" if lock_timeout is None else b"true",
        lock_timeout or MOMENT,
    ]


def _for_each(error: BaseException, group: list[_Update]) -> list[_Outcome]:
    """Return an error for each of a group: threads must not raise the same object."""
    if isinstance(error, Unavailable):
        return [error, *(copy(error) for _ in group[1:])]
    return [error, *(TallymarkError("Internal server error", origin="merging a group") for _ in group[1:])]


def _total(lines: Iterable[_Line]) -> int:
    return sum(len(line.waiting) for line in lines)


def _outcome(answer: bytes | None, refusal: bytes | None, held: bytes | None) -> _Outcome:
    if held is not None:
        return _Held(held)
    return from_refusal(json.loads(refusal)) if refusal is not None else answer or b""
