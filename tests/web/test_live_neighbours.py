"""Topics that are slow or cannot be read delay no others."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from tests.web.watching import Watching, new_job_id, wait_until

from tallymark.functions.errors import Unavailable
from tallymark.web.live.jobs import Event, JobState
from tallymark.web.live.poller import Pause, Poller, Subscriber, WakeChain

if TYPE_CHECKING:
    from tests.web.conftest import Web

pytestmark = pytest.mark.slow

StartWeb = Callable[..., "Web"]
Update = Callable[..., dict[str, object]]
Connection = psycopg.Connection[Any]


class _Thing:
    """A topic; `told` counts how often it was read."""

    def __init__(self, key: str, group: str) -> None:
        self.key = key
        self.group = group
        self.told = 0


class _Reading:
    """A poller of topics, and what was read together, in order."""

    def __init__(self, read: Callable[[list[str]], None]) -> None:
        self.rounds: list[list[str]] = []
        self._look = read
        self._chain = WakeChain()
        self.poller = Poller[_Thing]("tallymark-things", self._read, self._chain, Pause(0.02, 4))

    def _read(self, things: Sequence[_Thing]) -> Iterator[_Thing]:
        keys = [thing.key for thing in things]
        self.rounds.append(keys)
        self._look(keys)
        for thing in things:
            thing.told += 1
            yield thing

    def watch(self, key: str, group: str) -> _Thing:
        return self.poller.subscribe(_Thing(key, group), Subscriber(self._chain))


def _took_too_long() -> Unavailable:
    return Unavailable("Database busy", sqlstate="57014")


@pytest.mark.parametrize("fails", [False, True])
def test_what_is_slow_is_read_seldom_and_what_is_quick_often(*, fails: bool) -> None:
    """Between two readings of slow topics, successful or not, all quick ones have their turn."""

    def read(keys: list[str]) -> None:
        if keys[0].startswith("slow"):
            time.sleep(0.6)
            if fails:
                raise _took_too_long()

    reading = _Reading(read)
    for key in ("slow 1", "quick 1", "slow 2", "quick 2"):
        reading.watch(key, key)
    wait_until(lambda: sum(keys[0].startswith("slow") for keys in reading.rounds) >= 4)
    reading.poller.stop()
    order = [keys[0] for keys in reading.rounds]
    slow = [place for place, key in enumerate(order) if key.startswith("slow")]
    # The first time, it is not known yet that they are slow.
    for earlier, later in pairwise(slow[1:]):
        assert {"quick 1", "quick 2"} <= set(order[earlier:later])
    assert len(order) > 5 * len(slow)
    assert {order[place] for place in slow} == {"slow 1", "slow 2"}


def test_a_topic_that_spoils_its_group_is_read_alone_until_it_goes_well() -> None:
    """The others are read together again at once, and the topic joins them when it can be read again."""
    spoils = True

    def read(keys: list[str]) -> None:
        if spoils and "bad" in keys:
            raise _took_too_long()

    reading = _Reading(read)
    good = [reading.watch(key, "all") for key in ("a", "b", "c")]
    wait_until(lambda: ["a", "b", "c"] in reading.rounds)
    bad = reading.watch("bad", "all")
    wait_until(lambda: ["bad"] in reading.rounds)
    told = good[0].told
    wait_until(lambda: good[0].told > told + 5)
    assert ["a", "b", "c"] in reading.rounds[-5:]
    assert bad.told == 0
    spoils = False
    wait_until(lambda: ["a", "b", "c", "bad"] in reading.rounds[-3:])
    reading.poller.stop()


def test_a_poller_whose_thread_could_not_be_started_is_started_by_the_next_who_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A container may have no room for another thread at some moment."""
    reading = _Reading(lambda _keys: None)

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            reading.watch("a", "a")
    thing = reading.watch("b", "b")
    wait_until(lambda: thing.told > 0)
    reading.poller.stop()


def test_the_newest_event_is_kept_however_large() -> None:
    """So it is read once for all clients."""
    large = b'"%s"' % (b"x" * 300_000)
    before = JobState("1-1-1", b'"id":"j"', 1, 0, [Event(1, b'"small"')], 0)
    state = JobState("1-2-1", b'"id":"j"', 2, 1, [Event(2, large)], 0)
    state.follow(before)
    message = state.message(1)
    assert message is not None
    assert large in message.data
    assert state.message(0) is None
    missed = JobState("1-3-1", b'"id":"j"', 3, 0, [Event(seq, large * 15) for seq in (1, 2, 3)], 4)
    missed.skip()
    message = missed.message(0, with_skipped=True)
    assert message is not None
    assert [event.seq for event in missed.events] == [3]
    assert message.data.endswith(b'"skipped":6}')


def _make_heavy_jobs(db: Connection, update: Update, web: "Web") -> None:
    """Make a thousand jobs so large that reading a page of them takes seconds."""
    web.register("heavy")
    assert web.report(update("heavy", stage="heavy", itemsByType={"issues": 1})).status == 200
    db.execute(
        "UPDATE tallymark.job SET progress = jsonb_set(progress, '{itemsByType}',"
        " (SELECT jsonb_object_agg('type ' || n, n) FROM generate_series(1, 5000) AS n))"
    )
    db.execute(
        "INSERT INTO tallymark.job SELECT (jsonb_populate_record(j, jsonb_build_object('id', 'heavy ' || n))).*"
        " FROM tallymark.job AS j, generate_series(1, 1000) AS n"
    )


def test_a_page_that_takes_too_long_keeps_no_other_page_from_being_told(
    start_web: StartWeb, db_url: str, db: Connection, update: Update
) -> None:
    """A quick page gets more messages than the slow one has attempts."""
    web = start_web(db_url, TALLYMARK_STATEMENT_TIMEOUT="700")
    _make_heavy_jobs(db, update, web)
    quick = new_job_id()
    web.register(quick)
    tries: set[object] = set()
    is_over = threading.Event()

    def note_tries() -> None:
        query = (
            "SELECT query_start FROM pg_stat_activity WHERE datname = current_database() AND state = 'active'"
            " AND query LIKE '%newest_jobs%' AND clock_timestamp() - query_start > interval '0.3 s'"
            " AND pid <> pg_backend_pid()"
        )
        while not is_over.wait(0.1):
            tries.update(started for (started,) in db.execute(query))

    with (
        ThreadPoolExecutor(1) as pool,
        Watching(web, view="overview", stage="heavy", limit=1000) as slow,
        Watching(web, view="overview", q=quick) as watching,
    ):
        noting = pool.submit(note_tries)
        try:
            assert slow.answer.status == 200
            assert watching.next("overview")["order"] == [quick]
            wait_until(lambda: len(tries) > 0)
            tries.clear()
            for number in range(10):
                web.report(update(quick, processedItems=number))
                while watching.next("overview")["rows"][0]["processedItems"] != number:
                    pass
        finally:
            is_over.set()
        noting.result()
        assert len(tries) < 7
    assert "57014" in web.log.read_text()
