"""Threads that merge together: each gets its answer, and no turn, line or place is lost, whatever happens to others.

These threads have a merger, a queue and a database in one process, so that the worst moments can be chosen.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from tests.web.watching import PATIENCE, wait_until

from tallymark.functions.errors import InvalidUpdate, JobNotFound, Refused, TallymarkError, Unavailable
from tallymark.settings import Settings
from tallymark.web.db.merging import BRIEF_CALLS, Merger
from tallymark.web.db.patience import Patience, job_of
from tallymark.web.db.pool import Database
from tallymark.web.db.share import Share
from tallymark.web.http.admission import AdmissionQueue

Connection = psycopg.Connection[Any]

TURNS = 4


class Place:
    """A merger and all that it needs, put together as the application does."""

    def __init__(self, db_url: str, *, max_wait: float = 30, lock_timeout: int = 300, max_waiting: int = 2000) -> None:
        settings = Settings(lock_timeout=lock_timeout, blocking_threads=TURNS)
        self.queue = AdmissionQueue(TURNS)
        self.for_held = max(1, settings.pool_size // 4)
        for_others = max(1, settings.pool_size - self.for_held)
        share = Share()
        self.database, self.patient = (
            Database(db_url, settings, role="tallymark_writer", pool_size=size, share=share, waiting=self.queue.outside)
            for size in (for_others, self.for_held)
        )
        self.sizes: list[int] = []
        self.saw: Callable[[int], None] = self.sizes.append
        self.patience = Patience(
            self.database,
            self.patient,
            connections=self.for_held,
            max_waiting=max(1, max_waiting // 2),
            max_wait=max_wait,
            lock_timeout=lock_timeout,
        )
        self.merger = Merger(
            self.database,
            self.patience,
            single_lines=max(1, for_others - 1 - BRIEF_CALLS),
            max_waiting=max_waiting,
            max_wait=max_wait,
            wake=self.queue.wake,
            woken=self.queue.woken,
            seen=self._see,
        )

    def _see(self, size: int) -> None:
        self.saw(size)

    def send(self, body: bytes, key: bytes | None = None, prefix: bytes | None = None) -> bytes:
        """Merge as the route does: with a turn before and after, and none meanwhile."""
        assert self.queue.enter()
        try:
            self.queue.leave()
            try:
                return self.merger.merge(body, key, prefix)
            finally:
                self.queue.resume()
        finally:
            self.queue.leave()

    def close(self) -> None:
        """Close the connections."""
        self.database.close()
        self.patient.close()

    def is_at_rest(self) -> bool:
        """Return whether nobody waits, no line is busy, nothing is held, and every turn and place is free."""
        merger, patience = self.merger, self.patience
        lines = [merger._lines.common, *merger._lines.alone]
        return (
            self.queue._free == TURNS
            and self.queue.waiting == 0
            and merger.waiting == 0
            and not any(line.busy for line in lines)
            and merger._lines.held == merger._lines.of_jobs == {}
            and patience._jobs == {}
            and patience._wanted == 0
            and patience._connections._free == self.for_held
        )


@pytest.fixture
def place(db_url: str) -> Iterator[Callable[..., Place]]:
    """Makes mergers."""
    made: list[Place] = []

    def make(**limits: Any) -> Place:  # noqa: ANN401 - those of Place
        made.append(Place(db_url, **limits))
        return made[-1]

    yield make
    for one in made:
        one.close()


def body_of(job: str, number: int, **members: object) -> bytes:
    """Return an update that counts one issue."""
    return json.dumps(
        {
            "taskId": job,
            "updateId": str(number),
            "status": "processing",
            "timestamp": "2025-01-06T19:15:30Z",
            "itemsByType": {"issues": 1},
            **members,
        }
    ).encode()


def register(db: Connection, *jobs: str) -> None:
    """Register jobs."""
    db.execute("SELECT count(tallymark.create_job(id)) FROM unnest(%s::text[]) AS id", [list(jobs)])


def count_of(db: Connection, job: str) -> tuple[int, bool]:
    """Return how many issues a job has counted, and whether its state is the fold of its ledger."""
    row = db.execute(
        "SELECT coalesce((progress #>> '{itemsByType,issues}')::int, 0), tallymark.verify_job(id)"
        " FROM tallymark.job WHERE id = %s",
        [job],
    ).fetchone()
    assert row
    return row[0], row[1]


def hold(holder: Connection, *jobs: str) -> None:
    """Hold jobs until the end of the holder's transaction."""
    for job in jobs:
        holder.execute("SELECT FROM tallymark.job WHERE id = %s FOR UPDATE", [job])


def outcome(call: "Future[bytes]") -> bytes | BaseException:
    """Return an answer or an error, which comes within a bounded time."""
    return call.exception(timeout=2 * PATIENCE) or call.result()


def test_a_leader_gets_an_outcome_from_others_before_it_sleeps_and_no_turn_is_lost(
    db: Connection, db_url: str, place: Callable[..., Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its update turns out to be held, and that job's line gives up, all before its thread sleeps again."""
    register(db, "held", "free")
    here = place()
    gathered, slow, may_go_on = threading.Event(), threading.Event(), threading.Event()

    def wait_for_others(size: int) -> None:
        if size == 1:
            assert gathered.wait(PATIENCE)

    sleep, sleeps = here.merger._sleep, iter(range(9))

    def sleep_late(mine: Any) -> None:  # noqa: ANN401 - an update
        # Its first sleep is in the line; the second one is when its job is held.
        if threading.current_thread().name == "slow" and next(sleeps) == 1:
            slow.set()
            assert may_go_on.wait(PATIENCE)
        sleep(mine)

    monkeypatch.setattr(here.merger, "_sleep", sleep_late)

    # Their job is hidden from the search, so only the database says that it is held.
    for module in ("lines", "merging"):
        monkeypatch.setattr(f"tallymark.web.db.{module}.job_of", lambda body: b"" if b"0049" in body else job_of(body))
    hidden = [body_of("held", number).replace(b"taskId", b"task\\u0049d") for number in range(2)]
    errors: list[BaseException] = []

    def report() -> None:
        errors.append(_failed(here, hidden[0]))

    late = threading.Thread(target=report, name="slow")
    with psycopg.connect(db_url) as holder, ThreadPoolExecutor(3) as threads:
        hold(holder, "held")
        first = threads.submit(here.send, body_of("held", 2))
        wait_until(lambda: b"held" in here.merger._lines.held)
        here.saw = wait_for_others
        threads.submit(here.send, body_of("free", 1))
        wait_until(lambda: here.merger._lines.common.busy)
        late.start()
        wait_until(lambda: here.merger.waiting == 1)
        other = threads.submit(here.send, hidden[1])
        wait_until(lambda: here.merger.waiting == 2)
        gathered.set()
        assert slow.wait(PATIENCE)
        assert isinstance(outcome(first), Unavailable)
        # Its line has ended, so those that waited in it have their outcome, too.
        wait_until(lambda: here.merger._lines.held == {})
        may_go_on.set()
        late.join()
        assert isinstance(outcome(other), Unavailable)
    assert [type(error) for error in errors] == [Unavailable]
    assert count_of(db, "held") == (0, True)
    assert here.is_at_rest()


def _failed(here: Place, body: bytes) -> BaseException:
    end = _caught(here, body)
    assert isinstance(end, BaseException)
    return end


def test_those_that_wait_for_a_held_job_are_answered_in_time_though_its_lock_is_waited_for_without_limit(
    db: Connection, db_url: str, place: Callable[..., Place]
) -> None:
    """With TALLYMARK_LOCK_TIMEOUT=0 one call waits as long as the job is held; the others for TALLYMARK_MAX_WAIT."""
    register(db, "held", "free")
    here = place(max_wait=0.3, lock_timeout=0)
    with psycopg.connect(db_url) as holder, ThreadPoolExecutor(40) as threads:
        hold(holder, "held")
        # Some come in groups, some know their line at once, and some join it while its first call goes on.
        calls = [threads.submit(here.send, body_of("held", number)) for number in range(20)]
        wait_until(lambda: sum(call.done() for call in calls) >= 1)
        calls += [threads.submit(here.send, body_of("held", number)) for number in range(20, 40)]
        wait_until(lambda: sum(call.done() for call in calls) >= 8)
        assert b'"received"' in here.send(body_of("free", 1))
        wait_until(lambda: here.merger.waiting == 0)
        assert all(isinstance(call.exception(), Unavailable) for call in calls if call.done())
        holder.rollback()
    merged = sum(not isinstance(outcome(call), BaseException) for call in calls)
    assert 1 <= merged <= 32
    assert count_of(db, "held") == (merged, True)
    assert here.is_at_rest()


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt, SystemExit, ValueError])
def test_an_error_in_the_leader_ends_its_group_and_nothing_else(
    db: Connection, place: Callable[..., Place], error: type[BaseException]
) -> None:
    """Its thread raises the error. The others of the group get an error of their own, and the next call works."""
    register(db, "free")
    here = place()
    gathered = threading.Event()

    def fail(size: int) -> None:
        if size == 1:  # the first one goes on when all others wait for it
            assert gathered.wait(PATIENCE)
        else:
            here.saw = here.sizes.append
            raise error

    here.saw = fail
    with ThreadPoolExecutor(9) as threads:
        calls = [threads.submit(_caught, here, body_of("free", number)) for number in range(9)]
        wait_until(lambda: here.merger.waiting == 8)
        gathered.set()
        ends = [call.result(2 * PATIENCE) for call in calls]
    failed = [end for end in ends if isinstance(end, BaseException)]
    assert sorted(type(end).__name__ for end in failed) == sorted([error.__name__, *["TallymarkError"] * 7])
    assert len(set(map(id, failed))) == len(failed), "no two threads raise the same object"
    assert b'"received"' in here.send(body_of("free", 100))
    assert count_of(db, "free") == (2, True)
    assert here.is_at_rest()


def _caught(here: Place, body: bytes, prefix: bytes | None = None) -> bytes | BaseException:
    """Send, and return an error as a value: some kinds would end a thread pool."""
    try:
        return here.send(body, None, prefix)
    except BaseException as error:  # noqa: BLE001 - it is what the test is about
        return error


def test_each_kind_of_refusal_is_its_own_whether_alone_or_in_a_group(
    db: Connection, place: Callable[..., Place]
) -> None:
    """Bad, foreign, unknown, unreadable and good ones at once: each gets the error that it gets alone."""
    register(db, "a-job", "b-job")
    here = place()
    kinds: list[tuple[bytes, bytes | None, type[BaseException] | None]] = [
        (body_of("a-job", 1), b"a-", None),
        (body_of("b-job", 1), b"a-", Refused),
        (body_of("c-job", 1), None, JobNotFound),
        (body_of("a-job", 2, status="lost"), None, InvalidUpdate),
        (b"{not JSON", None, InvalidUpdate),
        (b'{"taskId": "a-job", "message": "\xff"}', None, InvalidUpdate),
        (b'{"taskId": "a-job", "message": "\\u0000"}', None, InvalidUpdate),
        (b'{"taskId": "a-job", "status": "processing", "processedItems": 1e131071}', None, InvalidUpdate),
        (b'{"taskId": "a-job", "status": "processing", "processedItems": 1e999999}', None, InvalidUpdate),
        (b'{"taskId": "a-job", "custom": %s1%s}' % (b"[" * 7000, b"]" * 7000), None, InvalidUpdate),
        (b"", None, InvalidUpdate),
        (b"null", None, InvalidUpdate),
    ]
    alone = [_caught(here, body, prefix) for body, prefix, _kind in kinds]
    for (_body, _prefix, kind), end in zip(kinds, alone, strict=True):
        assert isinstance(end, kind or bytes)
    with ThreadPoolExecutor(len(kinds) * 2) as threads:
        for _ in range(3):
            calls = [threads.submit(_caught, here, body, prefix) for body, prefix, _kind in kinds * 2]
            for call, by_itself in zip(calls, alone * 2, strict=True):
                assert _told(call.result(2 * PATIENCE)) == _told(by_itself)
    assert count_of(db, "a-job") == (1, True)
    assert max(here.sizes) > 1, "groups formed"
    assert here.is_at_rest()


def _told(end: bytes | BaseException) -> object:
    """What the caller is told, without what tells a repeat from the first time."""
    if isinstance(end, TallymarkError):
        return type(end), str(end), end.sqlstate, end.details, end.explanation, end.hint
    assert isinstance(end, bytes)
    answer = json.loads(end)
    answer.pop("duplicate")
    return answer


class Crowd:
    """Many threads that send updates, batches and garbage for free and held jobs, while others hold and cut."""

    def __init__(self, db: Connection, db_url: str, here: Place, threads: int, seconds: float) -> None:
        self.jobs = [f"job {number}" for number in range(12)]
        register(db, *self.jobs)
        self.db_url = db_url
        self.here = here
        self.threads = threads
        self.until = time.monotonic() + seconds
        self.counted = dict.fromkeys(self.jobs, 0)
        self.ends: dict[str, int] = {}
        self._lock = threading.Lock()
        self.surprises: list[str] = []

    def run(self) -> None:
        """Let them all go, and wait for their ends."""
        others = [threading.Thread(target=self._hold, args=[seed]) for seed in range(3)]
        crawlers = [threading.Thread(target=self._crawl, args=[number], daemon=True) for number in range(self.threads)]
        for thread in (*others, *crawlers):
            thread.start()
        for thread in others:
            thread.join()
        give_up = time.monotonic() + 3 * PATIENCE
        for thread in crawlers:
            thread.join(max(0.0, give_up - time.monotonic()))
        assert not any(thread.is_alive() for thread in crawlers), "every thread is answered"

    def _hold(self, seed: int) -> None:
        """Hold a job or two, each for some time; never two of the holders' jobs in opposite orders."""
        with psycopg.connect(self.db_url) as holder:
            number = seed
            while time.monotonic() < self.until:
                number += 1
                hold(holder, self.jobs[number % len(self.jobs)])
                holder.execute("SELECT pg_sleep(%s)", [0.5 if number % 5 == 0 else 0.03])
                holder.rollback()

    def _crawl(self, worker: int) -> None:
        number = 0
        while time.monotonic() < self.until:
            number += 1
            jobs = [self.jobs[(worker + number) % len(self.jobs)]]
            if number % 7 == 0:
                jobs = self.jobs[worker % 5 :][:: 1 if worker % 2 else -1]
            bodies = [body_of(job, f"{worker}-{number}") for job in jobs]  # type: ignore[arg-type]
            body = bodies[0] if len(bodies) == 1 else b"[" + b",".join(bodies) + b"]"
            if number % 11 == 0:
                body = b"{" if worker % 2 else body_of("nobody", 1)
                jobs = []
            self._send(worker, body, jobs)

    def _send(self, worker: int, body: bytes, jobs: list[str]) -> None:
        end = _caught(self.here, body)
        name = "answered" if isinstance(end, bytes) else f"{type(end).__name__}: {end}"
        while jobs and isinstance(end, Unavailable):  # it is sent again, as a crawler does, until it counts
            with self._lock:
                self.ends[name] = self.ends.get(name, 0) + 1
            time.sleep(0.01)
            end = _caught(self.here, body)
        with self._lock:
            self.ends[name] = self.ends.get(name, 0) + 1
            if jobs and not isinstance(end, bytes):
                self.surprises.append(f"{worker}: {body[:80]!r} {end!r}")
            for job in jobs:
                self.counted[job] += 1


def check_crowd(db: Connection, db_url: str, here: Place, threads: int, seconds: float) -> str:
    """Run a crowd, and compare what was answered with what is there."""
    crowd = Crowd(db, db_url, here, threads, seconds)
    crowd.run()
    assert crowd.surprises == []
    assert {job: count_of(db, job) for job in crowd.jobs} == {job: (n, True) for job, n in crowd.counted.items()}
    assert here.is_at_rest()
    for job in crowd.jobs:
        assert b'"received"' in here.send(body_of(job, 0))
    assert here.is_at_rest()
    return f"{crowd.ends}, groups: {len(here.sizes)}, largest {max(here.sizes)}"


def test_a_crowd_of_threads_loses_no_update_no_turn_and_no_place(
    db: Connection, db_url: str, place: Callable[..., Place]
) -> None:
    """100 threads with singles, batches, garbage and held jobs, for three seconds; many of them give up meanwhile."""
    check_crowd(db, db_url, place(max_wait=0.3, max_waiting=150), 100, 3)


@pytest.mark.deep
@pytest.mark.timeout(600)
def test_a_crowd_of_a_thousand_threads_loses_nothing(
    db: Connection,
    db_url: str,
    place: Callable[..., Place],
    record_property: Callable[[str, object], None],
) -> None:
    """1,000 threads for a minute."""
    record_property("figure", check_crowd(db, db_url, place(max_wait=1.0, max_waiting=800), 1000, 60))
