"""The lines in which updates wait for a call of the database. `merging` makes the calls.

In one database there is one line for all updates. Where jobs are distributed over several servers, each job has a line
of its own, as a call runs on the server of its job. Batches and large updates have a few lines, each by itself. A job
that another transaction holds has a line, too, so that it keeps its own crawlers waiting, and nobody else's.
"""

import re
from collections import deque
from threading import Lock
from typing import NamedTuple

from tallymark.web.db.patience import job_of, too_many

#: The most bytes of an update that may be in a group: a larger one would hold up the others.
_MAX_BYTES = 16_384
_ARRAY = re.compile(rb"\s*\[")


class Held(NamedTuple):
    """What became of an update whose job another transaction holds: it is not merged yet."""

    job: bytes


#: What became of an update: its answer, an error, or that its job is held.
Outcome = bytes | BaseException | Held


class Update:
    """An update, or a batch, on its way. Its line and what follows belong to the lock of the lines."""

    __slots__ = ("awake", "body", "goes_alone", "is_batch", "key", "leads", "line", "outcome", "prefix", "sleeps")

    def __init__(self, body: bytes, key: bytes | None, prefix: bytes | None) -> None:
        """Take a body, and its idempotency key and the prefix of its caller's jobs, if there are any."""
        self.body = body
        self.key = key
        self.prefix = prefix
        self.is_batch = _ARRAY.match(body) is not None
        self.goes_alone = self.is_batch or len(body) > _MAX_BYTES
        self.line: Line
        #: Whether its thread makes the next call of its line.
        self.leads = False
        self.outcome: Outcome | None = None
        #: Whether its thread must wait for `awake` before it looks at any of these. Only that thread ends this.
        self.sleeps = False
        #: Released once, when an update that sleeps leads, or has an outcome.
        self.awake = Lock()
        self.awake.acquire()


class Line:
    """Updates that wait for one call after the other.

    Attributes:
        job: The job of all of them; None for lines of several jobs.
        key: The name of a line that is there only while it is busy. A batch whose job is held has a line of its own,
            because it may wait for any of its jobs.
        is_held: Whether another transaction holds the job.
        busy: Whether a call is being made for it.
    """

    __slots__ = ("busy", "is_held", "job", "key", "waiting")

    def __init__(self, job: bytes | None = None, key: bytes = b"", *, is_held: bool = False) -> None:
        """Make an empty one."""
        self.job = job
        self.key = key
        self.is_held = is_held
        self.busy = False
        self.waiting: deque[Update] = deque()

    @property
    def length(self) -> int:
        """How many wait or are being merged, a whole group counting as one."""
        return len(self.waiting) + self.busy


class Lines:
    """All lines. Who uses them needs `lock`."""

    def __init__(self, *, single_lines: int, max_waiting: int, max_held: int) -> None:
        """Take the limits.

        Args:
            single_lines: How many batches and large updates are merged at once.
            max_waiting: How many updates may wait, beside those for jobs that are held.
            max_held: How many of these may wait.
        """
        self.lock = Lock()
        self._max_waiting = max_waiting
        self._max_held = max_held
        self.common = Line()
        #: Where batches and large updates are merged one by one.
        self.alone = [Line() for _ in range(single_lines)]
        #: Those of held jobs.
        self.held: dict[bytes, Line] = {}
        #: Those of jobs of a distributed database; how many updates are in these.
        self.of_jobs: dict[bytes, Line] = {}
        self._in_jobs = 0

    def length(self) -> int:
        """Return how many updates wait for their call."""
        return self._waiting() + sum(len(line.waiting) for line in self.held.values())

    def is_full(self) -> bool:
        """Return whether there is no room for one more update, unless its job is held."""
        # Each job's own line may need a connection, and these are few. So those that make a call count there, too.
        return self._waiting() + len(self.of_jobs) >= self._max_waiting

    def _waiting(self) -> int:
        return len(self.common.waiting) + sum(len(line.waiting) for line in self.alone) + self._in_jobs

    def line_for(self, update: Update, *, is_distributed: bool) -> Line:
        """Return the line that an update has to enter."""
        if update.goes_alone:
            return min(self.alone, key=lambda line: line.length)
        if not self.held and not is_distributed:
            return self.common
        job = job_of(update.body)
        # One of a foreign job is refused, which needs no wait.
        if not job.startswith(update.prefix or b""):
            return self.common
        if job in self.held:
            return self.held[job]
        if is_distributed and job:
            return self.of_jobs.get(job) or Line(job, job)
        return self.common

    def enter(self, line: Line, update: Update) -> bool:
        """Put an update into a line: it leads where the line is empty. Return False, with an outcome, if it is full."""
        update.line = line
        if not line.is_held:
            is_full = self.is_full() and (line.busy or line.job is not None)
        else:
            # A job with less than its share of the places gets one more: others do not feel a flood for one job.
            lines, most = self.held.values(), self._max_held
            share = most / len({line.job, *(held.job for held in lines)})
            of_job = sum(held.length for held in lines if held.job == line.job)
            is_full = of_job >= share and sum(held.length for held in lines) >= most
        if is_full:
            update.outcome = too_many()
            return False
        if line.busy:
            line.waiting.append(update)
            self._count(line, 1)
            update.sleeps = True
        else:
            line.busy = update.leads = True
            if line.job is not None:
                self._among(line)[line.key] = line
        return True

    def enter_held(self, job: bytes, update: Update) -> bool:
        """Put an update into the line of its job, which is held."""
        # No job has a zero byte in its id.
        key = b"\0%d" % id(update) if update.goes_alone else job
        return self.enter(self.held.get(key) or Line(job, key, is_held=True), update)

    def take(self, line: Line, most: int) -> list[Update]:
        """Take up to so many updates out of a line, in order."""
        taken = [line.waiting.popleft() for _ in range(min(most, len(line.waiting)))]
        self._count(line, -len(taken))
        return taken

    def give_up(self, update: Update) -> bool:
        """Take an update out of its line, and return whether it was there."""
        if update not in update.line.waiting:
            return False
        update.line.waiting.remove(update)
        self._count(update.line, -1)
        return True

    def hand_on(self, line: Line) -> None:
        """Let the next update of a line lead, after a call. A line of one job that is empty then goes."""
        for update in self.take(line, 1):
            update.leads = True
            update.awake.release()
            return
        line.busy = False
        if line.job is not None:
            del self._among(line)[line.key]

    def _among(self, line: Line) -> dict[bytes, Line]:
        return self.held if line.is_held else self.of_jobs

    def _count(self, line: Line, more: int) -> None:
        if line.job is not None and not line.is_held:
            self._in_jobs += more
