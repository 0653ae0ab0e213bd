"""Streams in trouble: cut, too many, not read, without a database, stopped; none disturbs anything else."""

import contextlib
import secrets
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from tests.web.watching import PATIENCE, Watching, ledger, wait_until

from tallymark.functions.tokens import create_token, revoke_token
from tallymark.schema.migrate import migrate
from tallymark.server import EmbeddedPostgres
from tallymark.web.http.admission import AdmissionQueue
from tallymark.web.live.poller import Subscriber, WakeChain
from tallymark.web.live.stream import Message, Stream

if TYPE_CHECKING:
    from tests.web.conftest import Web

StartWeb = Callable[..., "Web"]
Update = Callable[..., dict[str, object]]
Connection = psycopg.Connection[Any]


def test_cut_connections_lose_no_event_and_repeat_none(web: "Web", job: str, update: Update) -> None:
    """Connections are cut at any moment while updates come in; in the end the whole ledger was sent, once."""
    total = 400

    def report() -> None:
        for number in range(total):
            assert web.report(update(job, updateId=str(number), itemsByType={"issues": 1})).status == 200
            time.sleep(0.005)

    seqs: list[int] = []
    with ThreadPoolExecutor(1) as pool:
        reporting = pool.submit(report)
        known: str | None = "0"
        last = cuts = 0
        while last < total + 1:
            watching = Watching(web, job=job, last=known)
            for told in watching.messages():
                if told.event == "job":
                    seqs += [event["seq"] for event in told.data["events"]]
                    last, known = told.seq, told.id
                if last >= total + 1 or secrets.randbelow(2) == 0:
                    break
            watching.cut()
            cuts += 1
        reporting.result()
    assert seqs == ledger(web.database_url, job)
    assert cuts > 3


@pytest.mark.faults
def test_streams_outlive_the_death_of_the_database(start_web: StartWeb, tmp_path: Path, update: Update) -> None:
    """The database is killed and restarted: the same stream continues without a gap."""
    with EmbeddedPostgres(tmp_path / "data") as postgres:
        migrate(postgres.url)
        web = start_web(postgres.url)
        web.register("j")
        with Watching(web, job="j", last=0) as job, Watching(web, view="overview") as overview:
            assert job.next("job")["lastSeq"] == 0
            assert overview.next("overview")["order"] == ["j"]
            for number in range(5):
                assert web.report(update("j", updateId=str(number))).status == 200
            assert job.seqs_up_to(5) == [1, 2, 3, 4, 5]
            assert postgres.process is not None
            postgres.process.kill()
            postgres.stop()
            assert job.next("beat")
            postgres.start()
            wait_until(lambda: web.report(update("j", updateId="5")).status == 200)
            web.report(update("j", updateId="6"))
            assert job.seqs_up_to(7) == [6, 7]
            while overview.next("overview")["rows"][0]["lastSeq"] < 7:
                pass
        assert ledger(postgres.url, "j") == list(range(1, 8))
        web.stop()


def test_the_stream_of_a_revoked_token_ends(start_web: StartWeb, db_url: str, db: Connection) -> None:
    """It ends at a heartbeat, and a new one is refused; that of a configured token goes on."""
    web = start_web(db_url, TALLYMARK_TOKEN_CACHE_SECONDS="0.5")
    web.register("j")
    token = create_token(db, "short", ["read"])
    with Watching(web, job="j", token=token) as revoked, Watching(web, job="j") as other:
        assert revoked.next("beat")
        revoke_token(db, "short")
        for told in revoked.messages():
            assert told.event in {"beat", "job"}
        for _ in range(3):
            assert other.next("beat")
    with Watching(web, job="j", token=token) as again:
        assert again.answer.status == 401


def _last_call(db: Connection) -> object:
    query = "SELECT max(query_start) FROM pg_stat_activity WHERE application_name = 'tallymark'"
    return db.execute(f"{query} AND datname = current_database()").fetchone()


def test_nothing_is_read_while_nobody_watches(start_web: StartWeb, db_url: str, db: Connection) -> None:
    """There is no call after the last one."""
    web = start_web(db_url)
    web.register("j")
    with Watching(web, job="j") as job, Watching(web, view="overview") as overview:
        assert job.next("job")
        assert overview.next("totals")
        before = _last_call(db)
        wait_until(lambda: _last_call(db) != before)
        job.close()
        overview.close()

    def is_quiet() -> bool:
        last = _last_call(db)
        time.sleep(2)
        return _last_call(db) == last

    wait_until(is_quiet)


def test_more_streams_than_there_may_be_are_refused_and_a_place_is_free_again(
    start_web: StartWeb, db_url: str, update: Update
) -> None:
    """503 with Retry-After. Requests are answered all the time, polling included."""
    web = start_web(db_url, TALLYMARK_STREAMS="4", TALLYMARK_BLOCKING_THREADS="2")
    web.register("j")
    with contextlib.ExitStack() as streams:
        open_ones = [streams.enter_context(Watching(web, job="j")) for _ in range(4)]
        for watching in open_ones:
            assert watching.next("job")
        answer = web.call("GET", "/events?job=j", headers={"Accept": "text/event-stream"})
        assert (answer.status, answer.json["error"]) == (503, "Too many streams")
        assert int(answer.headers["retry-after"]) >= 1
        assert web.call("GET", "/events?job=j").status == 200
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda number: web.report(update("j", processedItems=number)), range(50)))
        assert {answer.status for answer in answers} == {200}
        open_ones[0].cut()

        def is_let_in() -> bool:
            watching = streams.enter_context(Watching(web, job="j"))
            return watching.answer.status == 200

        wait_until(is_let_in)


def test_a_stopped_server_ends_its_streams_at_once(
    monkeypatch: pytest.MonkeyPatch, start_web: StartWeb, db_url: str
) -> None:
    """Each ends like a complete answer, and then the process: it neither waits for a stream nor is killed."""
    patient = "from tallymark.server import granian; granian.GRACE_SECONDS = 1800; "
    serve = "from tallymark.cli import main; main()"
    monkeypatch.setattr("tests.web.conftest._SERVE", (sys.executable, "-c", patient + serve, "serve"))
    web = start_web(db_url, TALLYMARK_STREAMS="60")
    web.register("j")
    with contextlib.ExitStack() as streams:
        watching = [streams.enter_context(Watching(web, job="j")) for _ in range(25)]
        watching += [streams.enter_context(Watching(web, view="overview")) for _ in range(25)]
        for one in watching[:25]:
            assert one.next("job")
        web.process.terminate()
        for one in watching:
            assert all(told.event for told in one.messages())
            assert one.answer.isclosed(), "its end was sent; where the connection is cut, it is still open"
        assert web.process.wait(30) == 0
    assert "ERROR" not in web.log.read_text()


class _Quiet:
    """A subscription without news; `asked` counts the calls."""

    def __init__(self) -> None:
        self.asked = 0

    def begin(self, subscriber: Subscriber) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing."""

    def news(self) -> list[Message]:
        """Return no news."""
        self.asked += 1
        return []


def test_a_stream_that_is_stopped_waits_for_no_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    """It wakes up and ends, although the next heartbeat is hours away."""
    monkeypatch.setattr("tallymark.web.live.stream.BEAT_SECONDS", 100_000.0)
    quiet = _Quiet()
    ended: list[Stream] = []
    stream = Stream(quiet, WakeChain(), may_go_on=lambda: True, ended=ended.append)
    parts: list[bytes] = []
    thread = threading.Thread(target=lambda: parts.extend(stream), daemon=True)
    thread.start()
    wait_until(lambda: quiet.asked == 1)
    stream.stop()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert len(parts) == 1, "how long to wait before connecting again, and no beat"
    stream.close()
    assert ended == [stream]


def test_a_client_that_reads_nothing_costs_nobody_else_anything(web: "Web", job: str, update: Update) -> None:
    """Its connection is full, and nothing piles up for it: later it gets few messages, which have everything."""
    with psycopg.connect(web.database_url, autocommit=True) as connection:
        # More than the buffers of a connection hold.
        connection.execute(
            "SELECT tallymark.merge_progress(%s, jsonb_build_object('status', 'processing', 'processedItems', n,"
            " 'message', repeat(chr(120143), 1000), 'error', jsonb_build_object('message', repeat('x', 4000))))"
            " FROM generate_series(1, 439) AS n",
            (job,),
        )
    with Watching(web, job=job, last=0) as deaf, Watching(web, job=job) as watching:
        assert watching.next("job")["lastSeq"] == 440
        rounds = 20
        for number in range(rounds):
            web.report(update(job, processedItems=440 + number))
            assert watching.seqs_up_to(441 + number) == [441 + number]
        told = []
        while deaf.last != 440 + rounds:
            told.append(deaf.next("job"))
    seqs = [event["seq"] for data in told for event in data["events"]]
    assert seqs == ledger(web.database_url, job)
    assert len(told) < rounds / 2


@pytest.mark.slow
def test_the_queue_admits_no_more_than_it_may_in_the_order_of_arrival() -> None:
    """Fifty callers and three places."""
    queue = AdmissionQueue(3)
    inside, most, order = 0, 0, []
    lock = threading.Lock()
    come_in = threading.Semaphore(0)

    def call(number: int) -> None:
        nonlocal inside, most
        with queue:
            with lock:
                inside += 1
                most = max(most, inside)
                order.append(number)
            come_in.acquire()
            with lock:
                inside -= 1

    def are_in(count: int, waiting: int) -> Callable[[], bool]:
        return lambda: len(order) == count and queue.waiting == waiting

    callers = [threading.Thread(target=call, args=(number,)) for number in range(50)]
    for number, thread in enumerate(callers, 1):
        thread.start()
        wait_until(are_in(min(number, 3), max(number - 3, 0)))
    for released in range(1, 51):
        come_in.release()
        wait_until(are_in(min(released + 3, 50), max(47 - released, 0)))
    for thread in callers:
        thread.join()
    assert most == 3
    assert order == list(range(50))
    with queue:
        assert queue.waiting == 0


def test_who_would_wait_too_long_is_turned_away() -> None:
    """At once if the line is full, after a while if it does not move; the others keep their places."""
    queue = AdmissionQueue(1, max_waiting=2, max_wait=0.2)
    assert queue.enter()
    entered: list[bool] = []
    waiting = [threading.Thread(target=lambda: entered.append(queue.enter())) for _ in range(2)]
    for number, thread in enumerate(waiting, 1):
        thread.start()
        wait_until(lambda number=number: queue.waiting == number)  # type: ignore[misc]
    assert not queue.enter(), "the line is full"
    for thread in waiting:
        thread.join()
    assert entered == [False, False], "they have waited for long enough"
    assert queue.waiting == 0
    assert queue.rejected == 3
    queue.leave()
    assert queue.enter(), "the place is free again"
    queue.leave()
