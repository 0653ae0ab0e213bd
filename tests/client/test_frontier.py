"""Items that end in any order, with kills at any moment: none is skipped, none counts twice.

Each item has a type of its own, so the counts on the server tell how often each item was counted.
"""

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tallymark.client import frontier
from tallymark.client.begun import Places, left_to_do
from tallymark.client.channel import Channel
from tallymark.client.frontier import Node
from tallymark.client.listener import Listener
from tallymark.client.outbox import Outbox
from tallymark.client.progress import Progress
from tallymark.client.recorder import Recorder
from tallymark.client.records import Position, Waiting
from tallymark.client.resume import Habits
from tallymark.client.updates import prepare

if TYPE_CHECKING:
    from collections.abc import Iterator

HABITS = Habits(every_items=3, every_seconds=0.01, max_bytes=60, start_timeout=0.1, end_timeout=0.1)
URLS = [f"u{number}" for number in range(12)]
ROOM = 3


class Server:
    """What a server makes of updates: counts are summed, and of other fields the newest wins."""

    def __init__(self) -> None:
        """Start without updates."""
        self.counts: dict[str, int] = {}
        self.newest: dict[str, tuple[str, Any]] = {}
        self.seen: set[str] = set()

    def take(self, update: dict[str, Any]) -> dict[str, Any]:
        """Take an update and acknowledge it."""
        if update["updateId"] not in self.seen:
            self.seen.add(update["updateId"])
            for type_, number in update.get("itemsByType", {}).items():
                self.counts[type_] = self.counts.get(type_, 0) + number
            given: dict[str, Any] = {"doneBeyond": []} if update["status"] == "completed" else {}
            for name in ("lastProcessedId", "doneBeyond", "timestamp"):
                if name in update:
                    given[name] = update[name]
            for name, value in given.items():
                self.newest[name] = max(
                    self.newest.get(name, ("", None)), (update["timestamp"], value), key=lambda v: v[0]
                )
        assert len(update.get("doneBeyond", ())) <= ROOM
        assert "doneBeyond" not in update or "lastProcessedId" in update or "lastProcessedId" not in self.newest
        resume: dict[str, Any] = {
            "lastProcessedId": self.newest.get("lastProcessedId", (None, None))[1],
            "doneBeyond": self.newest.get("doneBeyond", (None, []))[1],
            "resumeState": None,
            "itemsByType": self.counts,
            "processedItems": sum(self.counts.values()),
        }
        return {"status": "received", "resume": resume, "newestTimestamp": self.newest["timestamp"][1]}


class Run:
    """A run of the crawl, without threads: everything happens when the test says so."""

    def __init__(self, server: Server, outbox: Outbox) -> None:
        """Start, with what the server answers."""
        self.server = server
        self.outbox = outbox
        self.now = 0.0
        self.recorder = Recorder.resume(Channel("j", None, outbox), Position("j"), HABITS)
        self._listener = Listener("j", self.recorder, None)
        self.write()
        self.deliver(10**6)
        assert self._listener.is_answered
        self.recorder.say(Progress.begin)
        self.write()
        self.resume = self.recorder.progress.resume
        self.places = Places(self.recorder, self.recorder.progress.frontier.told)
        self.warnings: list[str] = []
        self.todo: Iterator[str] = left_to_do(
            URLS, self.places, self.resume.last_processed_id, None, lambda: False, self.warnings.append
        )

    def write(self) -> None:
        """Put everything into the outbox, as the keeper does."""
        self.now += 1.0
        self.recorder.write(self.now)

    def deliver(self, most: int) -> None:
        """Send the first updates that wait."""
        rows: list[Waiting] = self.outbox.head(most, 10**9)
        answers = [self.server.take(json.loads(row.text)) for row in rows]
        self.outbox.settle(rows)
        for row, answer in zip(rows, answers, strict=True):
            self._listener.take_answer(row.update_id, answer)

    def end(self, node: Node, number: int) -> None:
        """Report that an item is done, or is skipped."""
        assert self.recorder.count((node.cursor, number, None if number else 0, None), None, None, node)


class Crawl(RuleBasedStateMachine):
    """A crawl that is killed and started again, on the same machine or on another."""

    def __init__(self) -> None:
        """Start the first run."""
        super().__init__()
        self._room, frontier.MOST_TOLD = frontier.MOST_TOLD, ROOM
        self.server = Server()
        self.outbox = Outbox(None, limit=10_000)
        self.skipped: set[str] = set()
        self.begin_run()

    def begin_run(self) -> None:
        """Start with the outbox that there is."""
        self.run = Run(self.server, self.outbox)
        self.open: list[Node] = []
        self.handed: list[str] = []
        assert self.run.warnings == []

    @precondition(lambda self: len(self.handed) < len(URLS))
    @rule(number=st.integers(1, 4))
    def begin(self, number: int) -> None:
        """Take the next items that are left to do."""
        for _ in range(number):
            if (url := next(self.run.todo, None)) is None:
                return
            assert self.server.counts.get(url, 0) == 0, "what is counted is not done again"
            self.handed.append(url)
            self.open.append(self.run.places.take(url))

    @precondition(lambda self: bool(self.open))
    @rule(which=st.integers(0, 11), skips=st.booleans())
    def end(self, which: int, skips: bool) -> None:
        """End one of the items in work."""
        node = self.open.pop(which % len(self.open))
        if skips and which == 0:
            self.skipped.add(node.cursor)
        self.run.end(node, 0 if node.cursor in self.skipped else 1)

    @precondition(lambda self: bool(self.open))
    @rule(which=st.integers(0, 11))
    def fail(self, which: int) -> None:
        """Fail, and begin the item again at once: it keeps its place."""
        node = self.open[which % len(self.open)]
        self.run.places.leave_open(node)
        assert self.run.places.take(node.cursor) is node

    @rule()
    def write(self) -> None:
        """Let the keeper work."""
        self.run.write()

    @rule()
    def report(self) -> None:
        """Report something else in between."""
        self.run.recorder.say(Progress.announce, prepare({"stage": "s"}), "processing")

    @rule(most=st.integers(1, 3))
    def deliver(self, most: int) -> None:
        """Let the sender work."""
        self.run.deliver(most)

    @precondition(lambda self: len(self.open) > 1)
    @rule(which=st.integers(1, 11))
    def end_and_send(self, which: int) -> None:
        """End an item, but not the first, and let the server have all that was reported."""
        node = self.open.pop(1 + which % (len(self.open) - 1))
        self.run.end(node, 0 if node.cursor in self.skipped else 1)
        self.run.write()
        self.run.deliver(10**6)

    @rule(keeps_spool=st.booleans())
    def kill(self, keeps_spool: bool) -> None:
        """Kill -9: what is in memory is lost, and on another machine the spool, too."""
        if not keeps_spool:
            self.outbox.close()
            self.outbox = Outbox(None, limit=10_000)
        self.begin_run()

    @rule(delivers=st.booleans())
    def complete(self, *, delivers: bool) -> None:
        """Complete the crawl, although items may be open, and begin again: these are left to do, and no others."""
        self.run.write()
        if self.run.recorder.progress.frontier.held:
            # There is no room to tell what is done beyond them.
            self.skipped.update(node.cursor for node in self.open)
        self.run.recorder.say(Progress.end, "completed", {}, None, None)
        self.run.write()
        if delivers:
            self.run.deliver(10**6)
            self.outbox.close()
            self.outbox = Outbox(None, limit=10_000)
        self.begin_run()

    @invariant()
    def none_counts_twice(self) -> None:
        """On the server, at any moment."""
        assert set(self.server.counts.values()) <= {1}

    def teardown(self) -> None:
        """Crawl to the end: every item that was not skipped is counted, once."""
        for node in self.open:
            self.run.end(node, 0 if node.cursor in self.skipped else 1)
        for url in self.run.todo:
            assert self.server.counts.get(url, 0) == 0
            self.run.end(self.run.places.take(url), 0 if url in self.skipped else 1)
        self.run.recorder.say(Progress.end, "completed", {}, None, None)
        self.run.write()
        self.run.deliver(10**6)
        assert self.server.counts == {url: 1 for url in URLS if self.server.counts.get(url) or url not in self.skipped}
        assert self.server.newest.get("doneBeyond", ("", []))[1] == []
        self.outbox.close()
        frontier.MOST_TOLD = self._room


TestCrawl = Crawl.TestCase
TestCrawl.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


class LongCrawl(Crawl):
    """The same, more often and for longer."""


TestLongCrawl = pytest.mark.deep(pytest.mark.timeout(3600)(LongCrawl.TestCase))
TestLongCrawl.settings = settings(
    max_examples=5000, stateful_step_count=80, deadline=None, suppress_health_check=list(HealthCheck)
)
