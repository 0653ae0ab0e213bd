"""A job that is watched: its newest state and its newest events, and the message for whoever knows it up to a number.

What the database says is cut into documents there, and put together here, unparsed: numbers stay as they were written.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from tallymark.functions.http import JOB_CHANGES
from tallymark.web.live.messages import Message, Read

#: A job's newest events that are kept for those who do not have them yet: so many, and of no more bytes than this.
_KEPT_EVENTS = 400
_KEPT_BYTES = 262_144
#: Who comes back after a while is told so many of the events that were missed, and of no more bytes; the message says
#: how many more there are.
MOST_MISSED = 1000
_MISSED_BYTES = 4_194_304
#: Jobs are read so many at a time.
_READ_AT_ONCE = 100
#: Messages that are kept for others who know the job up to the same number.
_KEPT_MESSAGES = 8


class Position(NamedTuple):
    """How far somebody knows a job; a greater one knows more.

    Attributes:
        born: Which of the jobs that had this id, one after the other: when it was made. 0 is not known.
        seq: Up to which event.
    """

    born: int
    seq: int


class Event(NamedTuple):
    """An event as JSON, and its number."""

    seq: int
    body: bytes


class JobState:
    """A job at some moment, with its newest events."""

    def __init__(self, tag: str, head: bytes, last_seq: int, floor: int, events: Sequence[Event], skipped: int) -> None:
        """Take what was read.

        Args:
            tag: Its tag, as read_job has it.
            head: The members of the message before its events.
            last_seq: The number of its last event.
            floor: All events of the ledger with numbers above this one are among the events.
            events: Its newest ones, ascending.
            skipped: How many more there are between what was asked for and the events.
        """
        self.position = Position(int(tag.partition("-")[0], 16), last_seq)
        self.floor = floor
        self.events = tuple(events)
        self._head = head
        self._skipped = skipped
        self._messages: dict[int, Message] = {}

    def message(self, after: int, *, with_skipped: bool = False) -> Message | None:
        """Make the message for those who know the job up to an event.

        Args:
            after: The number of that event.
            with_skipped: Make it also where some of the events have been left out, and say how many.

        Returns:
            It; None where the events that it needs are not kept.
        """
        if after < self.floor and not with_skipped:
            return None
        message = self._messages.get(after)
        if message is None:
            events = b",".join(event.body for event in self.events if event.seq > after)
            data = b'{%s,"events":[%s],"skipped":%d}' % (self._head, events, self._skipped if with_skipped else 0)
            message = Message("job", data, str(self.position.seq))
            if len(self._messages) < _KEPT_MESSAGES:
                self._messages[after] = message
        return message

    def follow(self, earlier: "JobState | None") -> None:
        """Keep the events of the state before this one, too, as far as there is room for them."""
        if earlier is not None and earlier.position.born == self.position.born and not self._skipped:
            self.floor = earlier.floor
            self.events = earlier.events + self.events
        if dropped := self._shorten(_KEPT_EVENTS, _KEPT_BYTES):
            self.floor = dropped[-1].seq

    def skip(self) -> None:
        """Leave out the oldest events where all are more than a client should have to take at once."""
        self._skipped += len(self._shorten(MOST_MISSED, _MISSED_BYTES))

    def _shorten(self, most: int, most_bytes: int) -> tuple[Event, ...]:
        """Keep the newest events, at least one however large, and return the others."""
        size = kept = 0
        for event in reversed(self.events):
            size += len(event.body)
            if kept == most or (kept and size > most_bytes):
                break
            kept += 1
        first = len(self.events) - kept
        dropped, self.events = self.events[:first], self.events[first:]
        return dropped


class JobTopic:
    """A job that is watched.

    Attributes:
        state: Its newest state; None where there is no such job, or none was read yet.
        is_read: Whether it was read.
    """

    def __init__(self, job_id: str) -> None:
        """Name it."""
        self.key = job_id
        self.group = None  # one statement reads all
        self.state: JobState | None = None
        self.is_read = False

    def _take(self, state: JobState | None) -> None:
        if state is not None:
            state.follow(self.state)
        self.state = state
        self.is_read = True


def read_jobs(read: Read, topics: Sequence[JobTopic]) -> Iterator[JobTopic]:
    """Read what is new of jobs.

    Args:
        read: Calls the database.
        topics: The jobs; what is new is put into them.

    Yields:
        Those that have something new.

    Raises:
        TallymarkError: The database is away, or the like; some may have been read.
    """
    for start in range(0, len(topics), _READ_AT_ONCE):
        part = {topic.key: topic for topic in topics[start : start + _READ_AT_ONCE]}
        # Who has just come brings the number that it knows. Here only what happens from now on is of interest.
        known = {key: topic.state.position.seq if topic.state else -1 for key, topic in part.items()}
        for job_id, state in _changes(read, known, _KEPT_EVENTS):
            topic = part[job_id]
            if state is not None and topic.state is not None and _is_older(state.position, topic.state.position):
                continue  # a replica that was read from in between knows less than the primary
            if state is not None or topic.state is not None or not topic.is_read:
                topic._take(state)  # noqa: SLF001 - of this module
                yield topic


def _is_older(position: "Position", known: "Position") -> bool:
    return position.born == known.born and position.seq < known.seq


def catch_up(read: Read, job_id: str, known: Position) -> tuple[Message | None, Position]:
    """Read for somebody what they missed of a job.

    Args:
        read: Calls the database.
        job_id: The job.
        known: How far they know it; with -1 they want the job alone.

    Returns:
        The message, with the newest `MOST_MISSED` of the events that they do not know, and how far they know the job
        with it; None and the same position where there is no such job.

    Raises:
        TallymarkError: The database is away, or the like.
    """
    after = known.seq
    while True:
        changes = list(_changes(read, {job_id: after}, MOST_MISSED))
        # Nothing is new, but they want to know the job.
        states = [state for _, state in changes or _changes(read, {job_id: -1}, 0)]
        if states == [None]:
            return None, known
        for state in filter(None, states):
            if known.born not in {0, state.position.born} and after > 0:
                after = 0  # another job that has got as far meanwhile
            elif changes or state.position.seq == after:
                shown = after if 0 <= after <= state.position.seq else 0 if after > 0 else state.position.seq
                state.skip()
                return state.message(shown, with_skipped=True), state.position


def _changes(read: Read, known: dict[str, int], most_events: int) -> Iterator[tuple[str, JobState | None]]:
    """Yield the ids of jobs that changed, with their states; None for a job that is not there."""
    seqs = b"{%s}" % ",".join(map(str, known.values())).encode()
    heads, jobs, bodies = read(JOB_CHANGES, json.dumps(list(known)).encode(), seqs, b"%d" % most_events)
    documents = iter((jobs or b"").split(b"\n"))
    events = iter((bodies or b"").split(b"\n"))
    for change in json.loads(heads or b"[]"):
        job_id = change["id"]
        if change.get("gone"):
            yield job_id, None
            continue
        found = [
            Event(seq, body) for seq, body in zip(change["seqs"], islice(events, len(change["seqs"])), strict=True)
        ]
        head = b'"id":%s,"lastSeq":%d,"tag":%s,"job":%s' % (
            *(json.dumps(job_id).encode(), change["lastSeq"], json.dumps(change["tag"]).encode()),
            next(documents),
        )
        last_seq, after = change["lastSeq"], known[job_id]
        # An id that has another job by now is told from its start.
        if after < 0:
            floor = last_seq
        elif change["skipped"] and found:
            floor = found[0].seq - 1
        else:
            floor = after if last_seq >= after else 0
        yield job_id, JobState(change["tag"], head, last_seq, floor, found, change["skipped"])
