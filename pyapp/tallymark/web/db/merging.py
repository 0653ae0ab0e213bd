"""Updates that wait at the same moment share a call of the database.

PostgreSQL does much of its work once a transaction, so merging 16 updates in one takes a third of the time of 16
transactions. A request that finds its line empty calls the database at once, by itself. Those that come meanwhile wait,
and one of them then makes the next call, for all of them. Nobody waits for a group to fill.

One call at a time is made for all of them: with two at a time the groups were half as large, and 16 connections got
four fifths as many updates a second. Batches and large updates have a few lines beside it, each by itself. Where
jobs are distributed over several servers, each job has a line of its own, and its calls run on the server of the job.

A call for several updates does not wait for a job that another transaction holds, such as that of a SQL caller, and a
call for one waits 20 ms at most, or 1 ms if a job was held lately: the updates of that job are given back unmerged.
They go into a line of that job's own. Most jobs are held by another group, or a batch, so the line's calls first wait
for 50 ms. Only if the job is still held then, they wait for as long as `lock_timeout` allows; there are only a few such
calls at once. So a job that is held for long keeps its own crawlers waiting, and nobody else's.
"""

import json
import time
from collections.abc import Callable, Sequence
from copy import copy
from threading import BoundedSemaphore, Lock

from tallymark.functions.errors import (
    LOCK_NOT_AVAILABLE,
    UNTRANSLATABLE,
    TallymarkError,
    Unavailable,
    from_refusal,
)
from tallymark.functions.http import GROUP_SIZES, RECEIVE_FOR_JOB, RECEIVE_GROUP, RECEIVE_PROGRESS
from tallymark.web.db.lines import Held, Line, Lines, Outcome, Update
from tallymark.web.db.patience import MOMENT, Patience, job_of, too_many
from tallymark.web.db.pool import Database

#: The most updates of a group.
_MAX_GROUP = GROUP_SIZES[-1]
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
        self._max_wait = max_wait
        self._patience = patience
        self._wake = wake
        self._woken = woken
        self._seen = seen
        self._register = b"true" if register else b"false"
        self._lines = Lines(single_lines=single_lines, max_waiting=max_waiting, max_held=patience.most)
        self._lock = self._lines.lock
        self._brief = BoundedSemaphore(BRIEF_CALLS)
        #: Jobs whose updates take long, as their state is large, and until when they are merged by themselves.
        self._slow: dict[bytes, float] = {}
        self._careful_until = 0.0
        self.rejected = 0

    @property
    def waiting(self) -> int:
        """How many updates wait for their call."""
        with self._lock:
            return self._lines.length()

    def turns_away(self) -> bool:
        """Return whether there is no room for one more update, and count it if so."""
        with self._lock:
            is_full = self._lines.is_full() and (self._lines.common.busy or bool(self._lines.of_jobs))
            self.rejected += is_full
        return is_full

    def merge(self, body: bytes, key: bytes | None, prefix: bytes | None) -> bytes:
        """Merge an update, or a batch, as receive_progress does, and return its answer.

        Raises:
            TallymarkError: It was refused, or failed; nothing of it was merged, unless the connection broke.
        """
        mine = Update(body, key, prefix)
        is_distributed = self._database.is_distributed()
        with self._lock:
            if self._slow and self._slow.get(job_of(body), 0.0) > time.monotonic():
                mine.goes_alone = True
            self._enter(self._lines.line_for(mine, is_distributed=is_distributed), mine)
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

    def _enter(self, line: Line, update: Update) -> None:
        """Put an update into a line. The caller has the lock."""
        if not self._lines.enter(line, update):
            self.rejected += 1

    def _sleep(self, mine: Update) -> None:
        """Wait until an update leads or has an outcome. It is given up if it has waited for too long for its call."""
        while not mine.awake.acquire(timeout=self._max_wait):
            with self._lock:
                if self._lines.give_up(mine):  # else it is being merged
                    self.rejected += 1
                    mine.outcome = too_many()
                    mine.sleeps = False
                    return
        mine.sleeps = False
        if not mine.leads:
            self._woken()

    def _lead(self, mine: Update) -> None:
        """Make the next call of a line, and hand it on."""
        line, group = mine.line, [mine]
        with self._lock:
            mine.leads = False
            if not mine.goes_alone:
                group += self._lines.take(line, _MAX_GROUP - 1)
        outcomes: list[Outcome]
        try:
            outcomes = self._call(line, group)
        except BaseException as error:  # noqa: BLE001 - the others must not wait forever
            outcomes = _for_each(error, group)
        with self._lock:
            ended = [
                update for update, outcome in zip(group, outcomes, strict=True) if self._settle(update, outcome, mine)
            ]
            if line.is_held and isinstance(outcomes[0], Unavailable):
                # The others would only wait as long for the same job.
                others = self._lines.take(line, len(line.waiting))
                for update in others:
                    update.outcome = copy(outcomes[0])
                ended += others
                self.rejected += len(ended)
            self._lines.hand_on(line)
        if sleepers := [update.awake for update in ended if update is not mine]:
            self._wake(sleepers)

    def _note_slow(self, job: bytes) -> None:
        with self._lock:
            if len(self._slow) >= _MOST_SLOW:
                self._slow.clear()
            self._slow[job] = time.monotonic() + _SLOW_FOR_SECONDS

    def _settle(self, update: Update, outcome: Outcome, mine: Update) -> bool:
        """Give an update its outcome, or put it into the line of its held job; return whether it has an outcome."""
        if isinstance(outcome, Held):
            self._careful_until = time.monotonic() + _CAREFUL_SECONDS
            self.rejected += not self._lines.enter_held(outcome.job, update)
            if update.leads and update is not mine:
                update.awake.release()
        else:
            # A traceback has frames, and these the bodies of the whole group.
            update.outcome = outcome.with_traceback(None) if isinstance(outcome, TallymarkError) else outcome
        return update.outcome is not None

    def _call(self, line: Line, group: list[Update]) -> list[Outcome]:
        if not line.is_held:
            if not group[0].goes_alone:
                self._seen(len(group))
            return self._merge(group, self._database)
        outcomes = self._merge_briefly(group)
        held = [update for update, outcome in zip(group, outcomes, strict=True) if isinstance(outcome, Held)]
        if line.job is None or not held:
            return outcomes
        try:
            with self._patience.place(line.job):
                late = iter(self._merge(held, self._patience.patient, self._patience.lock_timeout, is_last=True))
        except Unavailable as error:
            late = iter(_for_each(error, held))
        return [next(late) if isinstance(outcome, Held) else outcome for outcome in outcomes]

    def _merge_briefly(self, group: list[Update]) -> list[Outcome]:
        """Merge a group whose job is held, if it is not held for much longer."""
        if self._database.is_distributed() and group[0].is_batch:
            # Its call would wait for longer: lock_timeout does not reach the servers of its jobs.
            return [Held(update.line.job or b"") for update in group]
        if not self._brief.acquire(timeout=self._max_wait):
            raise too_many()
        try:
            return self._merge(group, self._database, _at_most(_BRIEF, self._patience.lock_timeout))
        finally:
            self._brief.release()

    def _merge(
        self, group: list[Update], database: Database, lock_timeout: bytes | None = None, *, is_last: bool = False
    ) -> list[Outcome]:
        """Merge a group in one call, which waits for held jobs for `lock_timeout` milliseconds, or not at all.

        If that was not the last attempt, updates of jobs that are still held come back as such.
        """
        # A call for one update is cheaper, but may wait for its job, and the line with it: hardly at all while jobs are
        # held, or were a while ago.
        began = time.monotonic()
        at_most = lock_timeout or (_GLANCE if len(group) == 1 and began < self._careful_until else MOMENT)
        try:
            if self._database.is_distributed() and (job := _job_of_all(group)):
                return self._merge_there(job, group, database, at_most, waits=lock_timeout is not None)
            if len(group) == 1 and lock_timeout is None and not group[0].goes_alone:
                [alone] = group
                parameters = (alone.body, alone.key, alone.prefix, at_most, self._register)
                [answer] = database.call(RECEIVE_PROGRESS, *parameters)
                if time.monotonic() - began > _SLOW_SECONDS:
                    self._note_slow(job_of(alone.body))
                return [answer or b""]
            size, bodies = _parameters(group)
            waits = b"false" if lock_timeout is None else b"true"
            rows = database.rows(RECEIVE_GROUP[size], *bodies, waits, at_most, self._register)
            return [_outcome(*rows[number]) for number in range(len(group))]
        except TallymarkError as error:
            if error.sqlstate == LOCK_NOT_AVAILABLE and not is_last:
                return [Held(job_of(update.body)) for update in group]
            is_one_at_fault = not isinstance(error, Unavailable) or error.sqlstate == UNTRANSLATABLE
            if not is_one_at_fault or len(group) == 1:
                return _for_each(error, group)
        # One of the bodies is not JSON, for instance, or the database's encoding lacks a character of it: halves find
        # out which.
        half = len(group) // 2
        halves = (group[:half], group[half:])
        return [outcome for part in halves for outcome in self._merge(part, database, lock_timeout, is_last=is_last)]

    def _merge_there(
        self, job: bytes, group: list[Update], database: Database, at_most: bytes, *, waits: bool
    ) -> list[Outcome]:
        """Merge a group of one job on the server that has this job."""
        size, bodies = _parameters(group)
        waiting = b"true" if waits else b"false"
        [found] = database.call(RECEIVE_FOR_JOB[size], *bodies, waiting, at_most, self._register, job)
        outcomes: list[Outcome] = []
        for answer, refusal, held in json.loads(found or b"[]")[: len(group)]:
            if held is not None:
                outcomes.append(Held(held.encode()))
            else:
                outcomes.append(answer.encode() if refusal is None else from_refusal(refusal))
        return outcomes


def _at_most(milliseconds: bytes, lock_timeout: bytes) -> bytes:
    """Return the smaller of two numbers of milliseconds, of which the second may be 0 for no limit."""
    return lock_timeout if 0 < int(lock_timeout) < int(milliseconds) else milliseconds


def _parameters(group: list[Update]) -> tuple[int, list[bytes | None]]:
    """Return the size of the statement for a group, and the parameters of its bodies; places left over are empty."""
    size = next(size for size in GROUP_SIZES if size >= len(group))
    empty = [None] * (size - len(group))
    return size, [
        *(update.body for update in group),
        *empty,
        *(update.key for update in group),
        *empty,
        *(update.prefix for update in group),
        *empty,
    ]


def _job_of_all(group: list[Update]) -> bytes:
    """Return the job that all of a group are for, empty if there may be several."""
    first = group[0]
    if first.is_batch:
        return b""
    return first.line.job or (job_of(first.body) if len(group) == 1 else b"")


def _for_each(error: BaseException, group: list[Update]) -> list[Outcome]:
    """Return an error for each of a group: threads must not raise the same object."""
    if isinstance(error, Unavailable):
        return [error, *(copy(error) for _ in group[1:])]
    return [error, *(TallymarkError("Internal server error", origin="merging a group") for _ in group[1:])]


def _outcome(answer: bytes | None, refusal: bytes | None, held: bytes | None) -> Outcome:
    if held is not None:
        return Held(held)
    return from_refusal(json.loads(refusal)) if refusal is not None else answer or b""
