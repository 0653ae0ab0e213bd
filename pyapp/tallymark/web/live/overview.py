"""The overview that is watched: a page of the newest jobs, and the figures that stand above it.

A page has a version, which rises whenever something on it changes, and each of its rows has the version in which it
changed last. So whoever knows one version is told the rows with a greater one.
"""

import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

from tallymark.functions.http import NEWEST_JOBS_LIVE, RATES, TOTALS
from tallymark.web.live.messages import Message, Read

#: Jobs of each status are counted so far, so that a million of them cost no more. The answer says where there are more.
_COUNTED = b"10000"
#: So many stalled jobs are named. The pages say "or more" where there are as many: MOST_STALLED in pyapp/dashboard.
_MOST_STALLED = b"20"
#: Messages that are kept for others who know the same version.
_KEPT_MESSAGES = 16

#: What is asked of a page: how the ids begin, then the filters as `NEWEST_JOBS_LIVE` takes them.
Question: TypeAlias = tuple[bytes | None, ...]


class _Row(NamedTuple):
    """A row of the page as JSON, and the version in which it changed last."""

    version: int
    body: bytes


class PageState:
    """A page at some moment."""

    def __init__(self, read: list[bytes | None], earlier: "PageState | None") -> None:
        """Take what was read.

        Args:
            read: The columns of `NEWEST_JOBS_LIVE`.
            earlier: The state before this one.
        """
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
        """Make the message for those who know a version; 0 is none."""
        message = self._messages.get(known)
        if message is None:
            rows = b",".join(row.body for row in self._rows.values() if row.version > known)
            message = Message("overview", b'{"order":%s,"rows":[%s],"next":%s}' % (self._ids, rows, self._following))
            if len(self._messages) < _KEPT_MESSAGES:
                self._messages[known] = message
        return message


class PageTopic:
    """A page that is watched.

    Attributes:
        state: Its newest state; None before the first was read.
    """

    def __init__(self, question: Question) -> None:
        """Say what is asked of it."""
        self.key = question
        self.group = question  # each is read by itself: one may take long
        self.state: PageState | None = None


def read_pages(read: Read, topics: Sequence[PageTopic]) -> Iterator[PageTopic]:
    """Read pages.

    Args:
        read: Calls the database.
        topics: The pages; what is new is put into them.

    Yields:
        Those that have something new.

    Raises:
        TallymarkError: The database is away, or the like.
    """
    for topic in topics:
        found = read(NEWEST_JOBS_LIVE, *topic.key)
        if topic.state is None or topic.state.read != found:
            topic.state = PageState(found, topic.state)
            yield topic


class TotalsTopic:
    """The figures above a page that is watched.

    Attributes:
        message: The newest of them; None before they were read.
        version: Rises with each change of them.
    """

    def __init__(self, page: PageTopic) -> None:
        """Say above which page."""
        self.key = page.key
        self.group = page.key[0]  # what they share is read once
        self.page = page
        self.message: Message | None = None
        self.version = 0


def read_totals(read: Read, topics: Sequence[TotalsTopic]) -> Iterator[TotalsTopic]:
    """Read the figures above pages; what they share is read once.

    Args:
        read: Calls the database.
        topics: The figures, of one group; what is new is put into them.

    Yields:
        Those that have something new.

    Raises:
        TallymarkError: The database is away, or the like.
    """
    shared = _shared_totals(read, topics[0].group)
    for topic in topics:
        message = _totals(read, shared, topic.page.state.running if topic.page.state else b"[]")
        if topic.message is None or topic.message.data != message.data:
            topic.message = message
            topic.version += 1
            yield topic


def read_once(read: Read, question: Question) -> list[Message]:
    """Read a page and the figures above it, for who asks once.

    Args:
        read: Calls the database.
        question: What is asked of the page.

    Returns:
        The messages.

    Raises:
        TallymarkError: The database is away, or the like.
    """
    page = PageState(read(NEWEST_JOBS_LIVE, *question), None)
    return [page.message(0), _totals(read, _shared_totals(read, question[0]), page.running)]


def _shared_totals(read: Read, prefix: bytes | None) -> bytes:
    statuses, throughput, stalled = read(TOTALS, prefix, _COUNTED, _MOST_STALLED)
    return b'"statuses":%s,"throughput":%s,"stalled":%s' % (statuses, throughput, stalled)


def _totals(read: Read, shared: bytes, running: bytes) -> Message:
    rates = read(RATES, running)[0] if running != b"[]" else b"{}"
    return Message("totals", b'{%s,"rates":%s}' % (shared, rates))
