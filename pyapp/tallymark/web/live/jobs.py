"""A watched job: its newest state and events, and the message for a client that knows it up to some event.

The database's answer is split into JSON documents in SQL and assembled here, unparsed, so that numbers stay as they
were written.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from tallymark.functions.errors import Unavailable
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
    """How much of a job is known.

    `born` tells apart the jobs that had this id one after the other: when it was created, 0 for unknown. `seq` is the
    number of the last known event, -1 if the client wants no older ones. `mark` tells that event from another one with
    this number, which there may be after a backup was restored; None for unknown.
    """

    born: int
    seq: int
    mark: int | None

    def is_before(self, other: "Position") -> bool:
        """Return whether the other one is more."""
        return (self.born, self.seq) < (other.born, other.seq)


#: That of a client that knows nothing, and wants no older events.
_NOTHING = Position(0, -1, None)


class Event(NamedTuple):
    """An event's number, and the event as JSON."""

    seq: int
    body: bytes


class JobState:
    """A job at some moment, with its newest events.

    `is_replaced` says that the events that were known before are not those of the ledger any more.
    """

    def __init__(self, tag: str, head: bytes, last_seq: int, floor: int, events: Sequence[Event], skipped: int) -> None:
        """Take what was read: `head` has the members of the message before its events.

        `events` are the newest ones, ascending, and has all with numbers above `floor`; `skipped` is how many events
        that were asked for were left out before them.
        """
        born, _, mark = tag.split("-")
        self.position = Position(int(born, 16), last_seq, int(mark, 16))
        self.floor = floor
        self.events = tuple(events)
        self.is_replaced = False
        self._head = head
        self._skipped = skipped
        self._messages: dict[int, Message] = {}

    def replace(self) -> None:
        """Note that the events that were known before are not those of the ledger any more."""
        self.is_replaced = True
        self.floor, self.events, self._skipped = self.position.seq, (), 0

    def message(self, after: int, *, with_skipped: bool = False, reset: bool = False) -> Message | None:
        """Return the message for clients that know the job up to event `after`; None if it needs events not kept.

        `with_skipped` allows for missing events; the message then says how many are missing. `reset` tells the client
        to drop the events that it has.
        """
        if after < self.floor and not with_skipped:
            return None
        message = None if reset else self._messages.get(after)
        if message is None:
            events = b",".join(event.body for event in self.events if event.seq > after)
            data = b'{%s,"events":[%s],"skipped":%d%s}' % (
                *(self._head, events, self._skipped if with_skipped else 0),
                b',"reset":true' if reset else b"",
            )
            message = Message("job", data, f"{self.position.seq}-{self.position.mark:x}")
            if len(self._messages) < _KEPT_MESSAGES and not reset:
                self._messages[after] = message
        return message

    def follow(self, earlier: "JobState | None") -> None:
        """Add the events of the state before this one, as far as there is room; none if this one replaces it."""
        if self.is_replaced:
            return
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
    """A watched job; `state` is None if it does not exist, or was not read yet (then `is_read` is false).

    `turn` rises when the events that were known are not those of the ledger any more.
    """

    def __init__(self, job_id: str) -> None:
        """Nothing is read yet."""
        self.key = job_id
        self.group = None  # one statement reads all
        self.state: JobState | None = None
        self.is_read = False
        self.turn = 0

    def take(self, state: JobState | None) -> None:
        """Replace the state."""
        if state is not None:
            state.follow(self.state)
            self.turn += state.is_replaced
        self.state = state
        self.is_read = True


class JobSubscription:
    """What a stream watches of one job."""

    def __init__(self, poller: Poller[JobFeed], read: Read, job_id: str, known: Position) -> None:
        """`known` is how much of the job the client knows."""
        self._poller = poller
        self._read = read
        self._feed = JobFeed(job_id)
        self._known = known
        self._turn = 0
        self._told_gone = False
        self._subscriber: Subscriber | None = None

    def begin(self, subscriber: Subscriber) -> None:
        """Begin to watch."""
        self._subscriber = subscriber
        self._feed = self._poller.subscribe(self._feed, subscriber)
        self._turn = self._feed.turn

    def end(self) -> None:
        """Stop watching."""
        if self._subscriber is not None:
            self._poller.unsubscribe(self._feed, self._subscriber)

    def news(self) -> list[Message]:
        """Return at most one message."""
        feed, turn = self._feed, self._feed.turn
        state = feed.state
        if not feed.is_read:
            return []
        if state is None:
            if self._told_gone:
                return []
            self._told_gone, self._known = True, Position(0, 0, None)
            return [gone(feed.key)]
        self._told_gone = False
        born, seq, mark = self._known
        is_same = turn == self._turn
        if born and is_same and not self._known.is_before(state.position):
            return []
        if seq < 0:
            seq = state.position.seq
        elif born and born != state.position.born:
            seq, mark = 0, None  # another job under the same id: from its start
        elif not born and seq > 0 and mark is not None:
            # Only the ledger can tell whether it still has the event that the client knows.
            is_same = is_same and (seq, mark) == state.position[1:]
        # A client that comes back may know more than the last reading of the feed.
        message = state.message(seq) if is_same and seq <= state.position.seq else None
        if message is None:
            known = Position(born and state.position.born, seq, mark)
            message, self._known = catch_up(self._read, feed.key, known)
            self._turn = turn
            return [message] if message else []
        self._known, self._turn = state.position, turn
        return [message]


def read_jobs(read: Read, read_primary: Read, feeds: Sequence[JobFeed]) -> Iterator[JobFeed]:
    """Read jobs into their feeds, and yield the feeds that have something new."""
    for start in range(0, len(feeds), _BATCH):
        part = {feed.key: feed for feed in feeds[start : start + _BATCH]}
        # A new feed begins with the job's present state: a client that knows an earlier one catches up by itself.
        known = {key: feed.state.position if feed.state else _NOTHING for key, feed in part.items()}
        for job_id, found in _changes(read, known, _KEPT_EVENTS):
            feed, state = part[job_id], found
            if state is not None and feed.state is not None and _is_doubtful(state, feed.state.position):
                state = _replacement(read_primary, feed.key, feed.state.position)
                if state is None:
                    continue  # it comes from a replica that is behind
            if state is not None or feed.state is not None or not feed.is_read:
                feed.take(state)
                yield feed


def _is_doubtful(state: JobState, known: Position) -> bool:
    """Return whether a state may be of a replica that is behind, or of a backup that was restored."""
    return state.position.is_before(known) or (state.is_replaced and state.position.born == known.born)


def _replacement(read_primary: Read, job_id: str, known: Position) -> JobState | None:
    """Return the state of a job if the primary does not have what is known of it, because a backup was restored."""
    try:
        changes = list(_changes(read_primary, {job_id: known}, 0))
    except Unavailable:
        return None  # nobody can tell
    for _, state in changes:
        if state is not None and _is_doubtful(state, known):
            state.replace()
            return state
    return None


def catch_up(read: Read, job_id: str, known: Position) -> tuple[Message | None, Position]:
    """Return what a client missed of a job, at most `MAX_MISSED` events, and the position that it knows then.

    If its position has the number -1, it wants the job without events. The message is None if there is no such job.
    """
    after, reset = known, False
    while True:
        changes = list(_changes(read, {job_id: after}, MAX_MISSED))
        # Without changes there is still the job itself to send.
        states = [state for _, state in changes or _changes(read, {job_id: _NOTHING}, 0)]
        if states == [None]:
            return None, known
        for state in filter(None, states):
            last = state.position.seq
            if state.is_replaced or (known.born not in {0, state.position.born} and after.seq > 0):
                # Other events under the same numbers, of this job or of another one under the same id.
                after, reset = Position(0, 0, None), True
            elif changes or last == after.seq:
                if after.seq > last:  # a backup has fewer events, and so has another job under the same id
                    after, reset = Position(0, 0, None), True
                state.skip()
                shown = last if after.seq < 0 else after.seq
                return state.message(shown, with_skipped=True, reset=reset), state.position


def _changes(read: Read, known: dict[str, Position], max_events: int) -> Iterator[tuple[str, JobState | None]]:
    """Yield the ids and states of the jobs that changed; None for a job that does not exist."""
    seqs = b"{%s}" % ",".join(str(position.seq) for position in known.values()).encode()
    marks = b"{%s}" % ",".join(_mark(position) for position in known.values()).encode()
    heads, jobs, bodies = read(JOB_CHANGES, json.dumps(list(known)).encode(), seqs, b"%d" % max_events, marks)
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
        last_seq, after = change["lastSeq"], known[job_id].seq
        # If the id has another job by now, that one is sent from its start.
        if after < 0:
            floor = last_seq
        elif change["skipped"] and found:
            floor = found[0].seq - 1
        else:
            floor = after if last_seq >= after else 0
        state = JobState(change["tag"], head, last_seq, floor, found, change["skipped"])
        if change.get("replaced"):
            state.replace()
        yield job_id, state


def _mark(position: Position) -> str:
    """Return a mark as an element of an array of PostgreSQL's."""
    return "NULL" if position.mark is None or position.seq < 0 else str(position.mark)
