"""The watched overview: a page of the newest jobs, and the figures above it.

A page has a version, which rises with each change, and each row has the version in which it last changed. So a client
that knows one version is sent the rows with a greater one.
"""

import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

from tallymark.functions.http import NEWEST_JOBS_LIVE, RATES, TOTALS
from tallymark.web.live.poller import Poller, Read, Subscriber
from tallymark.web.live.stream import Message

#: How many jobs of each status are counted, so that a million of them cost no more. The answer says if there are more.
_COUNTED = b"10000"
#: How many stalled jobs are named. If there are as many, the pages say "or more": MOST_STALLED in pyapp/dashboard.
_MAX_STALLED = b"20"
#: How many messages are kept for other clients that know the same version.
_KEPT_MESSAGES = 16

#: The parameters of a page: the ids' prefix, then the filters as `NEWEST_JOBS_LIVE` takes them.
Question: TypeAlias = tuple[bytes | None, ...]


class _Row(NamedTuple):
    """A row of the page as JSON, and the version in which it last changed."""

    version: int
    body: bytes


class PageState:
    """A page at some moment."""

    def __init__(self, read: list[bytes | None], earlier: "PageState | None") -> None:
        """Take the columns of `NEWEST_JOBS_LIVE`, and the state before this one."""
        self.read = read
        self.version: int = earlier.version + 1 if earlier else 1
        following, rows, ids, running = read
        self.running = running or b"[]"
        self._following = following or b"null"
        self._ids = ids or b"[]"
        self._rows: dict[str, _Row] = {}
        for job_id, body in zip(json.loads(self._ids), (rows or b"").split(b"\n"), strict=False):
            before = earlier.row(job_id) if earlier else None
            self._rows[job_id] = before if before and before.body == body else _Row(self.version, body)
        self._messages: dict[int, Message] = {}

    def row(self, job_id: str) -> _Row | None:
        """Return a row, if the page has it."""
        return self._rows.get(job_id)

    def message(self, known: int) -> Message:
        """Return the message for clients that know a version, 0 for none."""
        message = self._messages.get(known)
        if message is None:
            rows = b",".join(row.body for row in self._rows.values() if row.version > known)
            message = Message("overview", b'{"order":%s,"rows":[%s],"next":%s}' % (self._ids, rows, self._following))
            if len(self._messages) < _KEPT_MESSAGES:
                self._messages[known] = message
        return message


class PageFeed:
    """A watched page; `state` is None until it was read."""

    def __init__(self, question: Question) -> None:
        """Nothing is read yet."""
        self.key = question
        self.group = question  # each is read by itself: one may take long
        self.state: PageState | None = None


class TotalsFeed:
    """The figures above a watched page. `version` rises with each change; `message` is None until they were read."""

    def __init__(self, page: PageFeed) -> None:
        """Nothing is read yet."""
        self.key = page.key
        self.group = page.key[0]  # what feeds with one prefix share is read once
        self.page = page
        self.message: Message | None = None
        self.version = 0


class OverviewSubscription:
    """What a stream watches of a page and the figures above it."""

    def __init__(self, pages: Poller[PageFeed], totals: Poller[TotalsFeed], question: Question) -> None:
        """Nothing is watched yet."""
        self._pages = pages
        self._totals_poller = totals
        self._page = PageFeed(question)
        self._totals: TotalsFeed | None = None
        self._version = 0
        self._totals_version = 0
        self._subscriber: Subscriber | None = None

    def begin(self, subscriber: Subscriber) -> None:
        """Begin to watch."""
        self._subscriber = subscriber
        self._page = self._pages.subscribe(self._page, subscriber)

    def end(self) -> None:
        """Stop watching."""
        if self._subscriber is not None:
            if self._totals is not None:
                self._totals_poller.unsubscribe(self._totals, self._subscriber)
            self._pages.unsubscribe(self._page, self._subscriber)

    def news(self) -> Iterator[Message]:
        """Yield what is new of the page and of the figures."""
        state = self._page.state
        if state is None:
            return
        if self._totals is None and self._subscriber is not None:
            # Not before: the rates to read are those of the page's jobs.
            self._totals = self._totals_poller.subscribe(TotalsFeed(self._page), self._subscriber)
        if state.version != self._version:
            known, self._version = self._version, state.version
            yield state.message(known)
        if self._totals is not None and self._totals.version != self._totals_version:
            message, self._totals_version = self._totals.message, self._totals.version
            if message is not None:
                yield message


def read_pages(read: Read, feeds: Sequence[PageFeed]) -> Iterator[PageFeed]:
    """Read pages into their feeds, and yield the feeds that have something new."""
    for feed in feeds:
        found = read(NEWEST_JOBS_LIVE, *feed.key)
        if feed.state is None or feed.state.read != found:
            feed.state = PageState(found, feed.state)
            yield feed


def read_totals(read: Read, never_reported: bytes, feeds: Sequence[TotalsFeed]) -> Iterator[TotalsFeed]:
    """Read figures of one group into their feeds, and yield the feeds that have something new."""
    shared = _shared_totals(read, feeds[0].group, never_reported)
    for feed in feeds:
        message = _totals(read, shared, feed.page.state.running if feed.page.state else b"[]")
        if feed.message is None or feed.message.data != message.data:
            feed.message = message
            feed.version += 1
            yield feed


def read_once(read: Read, question: Question, never_reported: bytes) -> list[Message]:
    """Read a page and the figures above it, for a client that asks once."""
    page = PageState(read(NEWEST_JOBS_LIVE, *question), None)
    return [page.message(0), _totals(read, _shared_totals(read, question[0], never_reported), page.running)]


def _shared_totals(read: Read, prefix: bytes | None, never_reported: bytes) -> bytes:
    statuses, throughput, stalled = read(TOTALS, prefix, _COUNTED, _MAX_STALLED, never_reported)
    return b'"statuses":%s,"throughput":%s,"stalled":%s' % (statuses, throughput, stalled)


def _totals(read: Read, shared: bytes, running: bytes) -> Message:
    rates = read(RATES, running)[0] if running != b"[]" else b"{}"
    return Message("totals", b'{%s,"rates":%s}' % (shared, rates))
