"""A watched job: its newest state and events, and the message for a client that knows it up to some event.

The database's answer is split into JSON documents in SQL and assembled here, unparsed, so that numbers stay as they
were written.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from tallymark.functions.http import JOB_CHANGES
from tallymark.web.live.poller import Poller, Read, Subscriber
from tallymark.web.live.stream import Message, gone

#: How many of a job's newest events are kept for clients that do not have them yet, and of how many bytes.
_KEPT_EVENTS = 400
_KEPT_BYTES = 262_144
#: How many of the events that it missed a client is sent at once, and of how many bytes. The message says how many
#: more there are.
MAX_MISSED = 1000
_MAX_MISSED_BYTES = 4_194_304
#: How many jobs are read with one call.
_BATCH = 100
#: How many messages are kept for other clients that know the job up to the same event.
_KEPT_MESSAGES = 8


class Position(NamedTuple):
    """How much of a job is known; a greater position is more.

    `born` tells apart the jobs that had this id one after the other: when it was created, 0 for unknown. `seq` is the
    number of the last known event.
    """

    born: int
    seq: int


class Event(NamedTuple):
    """An event's number, and the event as JSON."""

    seq: int
    body: bytes


class JobState:
    """A job at some moment, with its newest events."""

    def __init__(self, tag: str, head: bytes, last_seq: int, floor: int, events: Sequence[Event], skipped: int) -> None:
        """Take what was read.

        Args:
            tag: Its tag, as from read_job.
            head: The members of the message before its events.
            last_seq: The number of its last event.
            floor: All events with greater numbers than this are in `events`.
            events: Its newest events, ascending.
            skipped: How many events that were asked for were left out before these.
        """
        self.position = Position(int(tag.partition("-")[0], 16), last_seq)
        self.floor = floor
        self.events = tuple(events)
        self._head = head
        self._skipped = skipped
        self._messages: dict[int, Message] = {}

    def message(self, after: int, *, with_skipped: bool = False) -> Message | None:
        """Return the message for clients that know the job up to event `after`; None if it needs events not kept.

        `with_skipped` allows for missing events; the message then says how many are missing.
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
        """Add the events of the state before this one, as far as there is room."""
        if earlier is not None and earlier.position.born == self.position.born and not self._skipped:
            self.floor = earlier.floor
            self.events = earlier.events + self.events
        if dropped := self._shorten(_KEPT_EVENTS, _KEPT_BYTES):
            self.floor = dropped[-1].seq

    def skip(self) -> None:
        """Leave out the oldest events if there are more than a client should be sent at once."""
        self._skipped += len(self._shorten(MAX_MISSED, _MAX_MISSED_BYTES))

    def _shorten(self, max_events: int, max_bytes: int) -> tuple[Event, ...]:
        """Keep the newest events, at least one however large, and return the others."""
        size = kept = 0
        for event in reversed(self.events):
            size += len(event.body)
            if kept == max_events or (kept and size > max_bytes):
                break
            kept += 1
        first = len(self.events) - kept
        dropped, self.events = self.events[:first], self.events[first:]
        return dropped


class JobFeed:
    """A watched job; `state` is None if it does not exist, or was not read yet (then `is_read` is false)."""

    def __init__(self, job_id: str) -> None:
        """Nothing is read yet."""
        self.key = job_id
        self.group = None  # one statement reads all
        self.state: JobState | None = None
        self.is_read = False

    def take(self, state: JobState | None) -> None:
        """Replace the state."""
        if state is not None:
            state.follow(self.state)
        self.state = state
        self.is_read = True


class JobSubscription:
    """What a stream watches of one job."""

    def __init__(self, poller: Poller[JobFeed], read: Read, job_id: str, after: int | None) -> None:
        """`after` is the last event that the client knows; None if it knows nothing and wants no older events."""
        self._poller = poller
        self._read = read
        self._feed = JobFeed(job_id)
        self._known = Position(0, -1 if after is None else after)
        self._told_gone = False
        self._subscriber: Subscriber | None = None

    def begin(self, subscriber: Subscriber) -> None:
        """Begin to watch."""
        self._subscriber = subscriber
        self._feed = self._poller.subscribe(self._feed, subscriber)

    def end(self) -> None:
        """Stop watching."""
        if self._subscriber is not None:
            self._poller.unsubscribe(self._feed, self._subscriber)

    def news(self) -> list[Message]:
        """Return at most one message."""
        feed, state = self._feed, self._feed.state
        if not feed.is_read:
            return []
        if state is None:
            if self._told_gone:
                return []
            self._told_gone, self._known = True, Position(0, 0)
            return [gone(feed.key)]
        self._told_gone = False
        born, seq = self._known
        if born and state.position <= self._known:
            return []
        if seq < 0:
            seq = state.position.seq
        elif born and born != state.position.born:
            seq = 0  # another job under the same id: from its start
        # A client that comes back may know more than the last reading of the feed.
        message = state.message(seq) if seq <= state.position.seq else None
        if message is None:
            message, self._known = catch_up(self._read, feed.key, Position(born and state.position.born, seq))
            return [message] if message else []
        self._known = state.position
        return [message]


def read_jobs(read: Read, feeds: Sequence[JobFeed]) -> Iterator[JobFeed]:
    """Read jobs into their feeds, and yield the feeds that have something new.

    Raises:
        TallymarkError: The database is away, or the like; some may have been read.
    """
    for start in range(0, len(feeds), _BATCH):
        part = {feed.key: feed for feed in feeds[start : start + _BATCH]}
        # A new feed begins with the job's present state: a client that knows an earlier one catches up by itself.
        known = {key: feed.state.position.seq if feed.state else -1 for key, feed in part.items()}
        for job_id, state in _changes(read, known, _KEPT_EVENTS):
            feed = part[job_id]
            if state is not None and feed.state is not None and _is_older(state.position, feed.state.position):
                continue  # it comes from a replica that is behind
            if state is not None or feed.state is not None or not feed.is_read:
                feed.take(state)
                yield feed


def _is_older(position: Position, known: Position) -> bool:
    return position.born == known.born and position.seq < known.seq


def catch_up(read: Read, job_id: str, known: Position) -> tuple[Message | None, Position]:
    """Read what a client missed of a job. If its position has the number -1, it wants the job without events.

    Returns:
        The message, with the newest `MAX_MISSED` of the events that the client does not know, and the position that it
        knows then; None and the same position if there is no such job.

    Raises:
        TallymarkError: The database is away, or the like.
    """
    after = known.seq
    while True:
        changes = list(_changes(read, {job_id: after}, MAX_MISSED))
        # Without changes there is still the job itself to send.
        states = [state for _, state in changes or _changes(read, {job_id: -1}, 0)]
        if states == [None]:
            return None, known
        for state in filter(None, states):
            if known.born not in {0, state.position.born} and after > 0:
                after = 0  # another job under the same id, which has the same number of events
            elif changes or state.position.seq == after:
                shown = after if 0 <= after <= state.position.seq else 0 if after > 0 else state.position.seq
                state.skip()
                return state.message(shown, with_skipped=True), state.position


def _changes(read: Read, known: dict[str, int], max_events: int) -> Iterator[tuple[str, JobState | None]]:
    """Yield the ids and states of the jobs that changed; None for a job that does not exist."""
    seqs = b"{%s}" % ",".join(map(str, known.values())).encode()
    heads, jobs, bodies = read(JOB_CHANGES, json.dumps(list(known)).encode(), seqs, b"%d" % max_events)
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
        # If the id has another job by now, that one is sent from its start.
        if after < 0:
            floor = last_seq
        elif change["skipped"] and found:
            floor = found[0].seq - 1
        else:
            floor = after if last_seq >= after else 0
        yield job_id, JobState(change["tag"], head, last_seq, floor, found, change["skipped"])
