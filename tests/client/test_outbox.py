"""Updates in the outbox: counts and order survive every sequence of append, send, settle and reopen."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tallymark.client.outbox import Outbox
from tallymark.client.records import Position, Waiting
from tallymark.client.spool_file import InUse
from tallymark.client.updates import Update

LIMIT = 4
EVERYTHING = (10_000, 10**9)


def make_update(number: int, counts: dict[str, int], *, own_event: bool = False) -> Update:
    """Return an update whose cursor is its number."""
    payload: dict[str, Any] = {
        "taskId": "j",
        "status": "processing",
        "lastProcessedId": str(number),
        "itemsByType": counts,
    }
    if own_event:
        payload["timeline"] = [{"event": "mine", "details": number}]
    return Update(f"{number:08}", payload, (f"key {number}".encode(),))


def number_of(row: Waiting) -> int:
    """Return the cursor of an update that waits."""
    return int(json.loads(row.text)["lastProcessedId"])


def counts_of(rows: list[Waiting]) -> dict[str, int]:
    """Add up the counts of updates."""
    total: dict[str, int] = {}
    for row in rows:
        for type_, count in json.loads(row.text)["itemsByType"].items():
            total[type_] = total.get(type_, 0) + count
    return total


class OutboxMachine(RuleBasedStateMachine):
    """An outbox in a file with a small limit, and a record of what was appended."""

    def __init__(self) -> None:
        """Start empty."""
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="tallymark-outbox-"))
        self.outbox = Outbox(self.directory / "outbox", limit=LIMIT)
        self.said: list[dict[str, int]] = []
        self.own_events: list[int] = []
        self.delivered: list[Waiting] = []
        self.sending: list[Waiting] = []
        #: A sent update must not change: the server may have it.
        self.sent: dict[int, Waiting] = {}

    @rule(
        counts=st.lists(
            st.tuples(st.dictionaries(st.sampled_from("abc"), st.integers(1, 5)), st.booleans()), min_size=1, max_size=3
        )
    )
    def append(self, counts: list[tuple[dict[str, int], bool]]) -> None:
        """Append updates in one transaction."""
        updates = []
        for some, own_event in counts:
            self.said.append(some)
            updates.append(make_update(len(self.said), some, own_event=own_event))
            if own_event:
                self.own_events.append(len(self.said))
        position = Position("j", clock=len(self.said), last_processed_id=str(len(self.said)))
        assert self.outbox.append(updates, position) >= len(updates) - LIMIT

    @rule(most=st.integers(1, 6))
    def head(self, most: int) -> None:
        """Send the first updates that wait."""
        self.sending = self.outbox.head(most, EVERYTHING[1])
        assert len(self.sending) == min(most, len(self.outbox))
        for row in self.sending:
            assert self.sent.setdefault(row.seq, row) == row, "what was sent is sent again as it was"

    @precondition(lambda self: bool(self.sending))
    @rule(share=st.floats(0, 1), refuse=st.booleans())
    def settle(self, share: float, refuse: bool) -> None:
        """Handle the answers to some of them."""
        answered = self.sending[: round(share * len(self.sending))]
        if refuse and answered:
            before = len(self.outbox.refused())
            self.outbox.settle(answered[:-1], [(answered[-1], {"status": 400})])
            assert len(self.outbox.refused()) == before + 1
        else:
            self.outbox.settle(answered)
        self.delivered += answered
        self.sending = []

    @rule()
    def reopen(self) -> None:
        """Close and open the file; nobody else can open it meanwhile."""
        with pytest.raises(InUse):
            Outbox(self.directory / "outbox", limit=LIMIT)
        self.outbox.close()
        self.outbox = Outbox(self.directory / "outbox", limit=LIMIT)
        self.sending = []

    @invariant()
    def is_kept(self) -> None:
        """Delivered updates add up to everything up to the last delivered number; the rest waits, in order."""
        waiting = self._waiting()
        assert len(waiting) == len(self.outbox)
        rows = [*self.delivered, *waiting]
        numbers = [number_of(row) for row in rows]
        assert numbers == sorted(set(numbers)), "in order"
        so_far = 0
        for row, number in zip(rows, numbers, strict=True):
            expected: dict[str, int] = {}
            for some in self.said[so_far:number]:
                for type_, count in some.items():
                    expected[type_] = expected.get(type_, 0) + count
            assert counts_of([row]) == expected, "a row counts what was said since the one before it"
            so_far = number
        assert so_far == len(self.said)
        assert set(self.own_events) <= set(numbers), "nothing took the place of what cannot be made one with others"

    @invariant()
    def knows_where_it_is(self) -> None:
        """Position and keys are those of the last update."""
        position = self.outbox.position()
        if self.said:
            assert position is not None
            assert position.last_processed_id == str(len(self.said))
        assert sorted(self.outbox.counted()) == sorted(f"key {n + 1}".encode() for n in range(len(self.said)))

    def _waiting(self) -> list[Waiting]:
        """Return what waits without sending it, because `head` would mark it."""
        rows = self.outbox.file.database.execute("SELECT seq, update_id, payload FROM waiting ORDER BY seq").fetchall()
        return [Waiting(*row) for row in rows]

    def teardown(self) -> None:
        """Check that closing removes the file, unless it has refused updates."""
        refused = bool(self.outbox.refused())
        self.outbox.close(remove=True)
        assert [path.name for path in self.directory.iterdir()] == ["outbox"] * refused
        shutil.rmtree(self.directory)


TestOutbox = OutboxMachine.TestCase
TestOutbox.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def test_a_crowded_outbox_grows_no_further_and_loses_no_count() -> None:
    """A thousand updates beyond the limit."""
    outbox = Outbox(None, limit=LIMIT)
    for number in range(1, 1001):
        outbox.append([make_update(number, {"issues": 1})], Position("j"))
    rows = outbox.head(*EVERYTHING)
    assert len(rows) == len(outbox) == LIMIT
    assert outbox.is_crowded
    assert counts_of(rows) == {"issues": 1000}
    assert number_of(rows[-1]) == 1000
    assert b"key 500" in outbox.counted()
    outbox.close()


@pytest.mark.parametrize("name", ["foundByType", "failedByType", "skippedByType"])
def test_a_crowded_outbox_replaces_no_other_increment(name: str) -> None:
    """The server sums these, too; what is combined would have only the newest."""
    outbox = Outbox(None, limit=1)
    for number in range(1, 11):
        update = make_update(number, {"issues": 1})
        outbox.append([update._replace(payload={**update.payload, name: {"issues": 2}})], Position("j"))
    payloads = [json.loads(row.text) for row in outbox.head(*EVERYTHING)]
    assert sum(payload.get(name, {}).get("issues", 0) for payload in payloads) == 20
    assert sum(payload["itemsByType"]["issues"] for payload in payloads) == 10
    outbox.close()


def test_a_crowded_outbox_keeps_the_newest_total_of_each_type() -> None:
    """As the server does; and no update gets more types than the protocol allows."""
    outbox = Outbox(None, limit=1)
    for number in range(1, 301):
        update = make_update(number, {"issues": 1})
        totals = {f"type {number}": number, "issues": number}
        outbox.append([update._replace(payload={**update.payload, "totalsByType": totals})], Position("j"))
    sent = [json.loads(row.text)["totalsByType"] for row in outbox.head(*EVERYTHING)]
    assert len(sent) < 300
    assert max(map(len, sent)) <= 200
    newest = {name: number for totals in sent for name, number in totals.items()}
    assert newest == {"issues": 300, **{f"type {number}": number for number in range(1, 301)}}
    outbox.close()


def test_types_never_get_too_many_for_one_update() -> None:
    """The protocol's limit is 200: a crowded outbox rather stores one update more."""
    outbox = Outbox(None, limit=1)
    for number in range(1, 1001):
        outbox.append([make_update(number, {f"type {number}": 1})], Position("j"))
    rows = outbox.head(*EVERYTHING)
    assert len(counts_of(rows)) == 1000
    assert max(len(json.loads(row.text)["itemsByType"]) for row in rows) <= 200
    outbox.close()


def test_a_batch_is_no_larger_than_it_may_be_but_never_empty() -> None:
    """A single update is sent however large it is."""
    outbox = Outbox(None, limit=100)
    outbox.append([make_update(n, {"issues": 1}) for n in range(1, 11)], Position("j"))
    size = len(outbox.head(1, 1)[0].text)
    assert [number_of(row) for row in outbox.head(10, 3 * size)] == [1, 2, 3]
    assert len(outbox.head(4, 10**9)) == 4
    outbox.close()


def test_what_another_outbox_of_the_job_has_is_taken_over_behind_what_waits_here(tmp_path: Path) -> None:
    """With counts, keys and the newer position; later updates come after them, crowded or not."""
    mine, other = Outbox(tmp_path / "1", limit=2), Outbox(tmp_path / "2", limit=2)
    mine.append([make_update(n, {"issues": 1}) for n in (1, 2)], Position("j", clock=2, last_processed_id="2"))
    other.append([make_update(n, {"issues": 10}) for n in (3, 4)], Position("j", clock=4, last_processed_id="4"))
    mine.take_over(other)
    other.close(remove=True)
    assert b"key 4" in mine.counted()
    position = mine.position()
    assert position is not None
    assert position.last_processed_id == "4"
    mine.append([make_update(5, {"issues": 100})], Position("j", clock=5, last_processed_id="5"))
    rows = mine.head(*EVERYTHING)
    assert counts_of(rows) == {"issues": 122}
    assert [number_of(row) for row in rows] == [1, 2, 3, 4, 5]
    mine.close(remove=True)
    assert list(tmp_path.iterdir()) == []
