"""Updates that share a call, over HTTP: each is answered as if it were alone, and a held job holds up nobody else."""

import http.client
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from tests.web.conftest import TOKEN
from tests.web.watching import PATIENCE, wait_until

from tallymark.schema.migrate import migrate
from tallymark.server import EmbeddedPostgres

if TYPE_CHECKING:
    from tests.web.conftest import Web

Connection = psycopg.Connection[Any]
StartWeb = Callable[..., "Web"]
PROGRESS = "/api/internal/jobs/progress"


def update(job: str, name: str) -> dict[str, object]:
    """An update that counts one issue."""
    return {
        "taskId": job,
        "updateId": name,
        "status": "processing",
        "timestamp": "2025-01-06T19:15:30Z",
        "itemsByType": {"issues": 1},
    }


class Crawler(threading.Thread):
    """Sends on one connection, one request after the other; what is answered 503 is sent again until it is taken."""

    def __init__(self, web: "Web", requests: "Iterator[tuple[str, object]]", end: threading.Event) -> None:
        super().__init__(daemon=True)
        self.answers: Counter[int] = Counter()
        self.surprises: list[str] = []
        self.seqs: list[int] = []
        self._requests = requests
        self._end = end
        self._connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=3 * PATIENCE)

    def run(self) -> None:
        """Send until the end; the last request is sent until it is taken, too."""
        for path, body in self._requests:
            if self._end.is_set():
                break
            while self._send(path, json.dumps(body)) == http.HTTPStatus.SERVICE_UNAVAILABLE:
                time.sleep(0.05)
        self._connection.close()

    def _send(self, path: str, body: str) -> int:
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        self._connection.request("POST", path, body, headers)
        answer = self._connection.getresponse()
        got = answer.read()
        self.answers[answer.status] += 1
        if answer.status == http.HTTPStatus.SERVICE_UNAVAILABLE:
            if not (answer.headers.get("Retry-After") or "").isdigit():
                self.surprises.append(f"503 without Retry-After: {got!r}")
        elif answer.status not in {200, 201}:
            self.surprises.append(f"{answer.status} {got!r} for {body}")
        elif path == PROGRESS and body[0] == "{":
            self.seqs.append(json.loads(got)["seq"])
        return answer.status


class Crowd:
    """Crawlers that send at once, and what they were answered."""

    def __init__(self, web: "Web") -> None:
        self.end = threading.Event()
        self.crawlers: list[Crawler] = []
        self._web = web
        self._number = 0

    def add(self, count: int, job: str, *, at_most: int = 10**9) -> list[Crawler]:
        """Start crawlers of a job."""
        return [self._start(self._updates([job], at_most, single=True)) for _ in range(count)]

    def add_batches(self, count: int, jobs: list[str]) -> list[Crawler]:
        """Start crawlers that send batches of some jobs."""
        return [self._start(self._updates(jobs, 10**9, single=False)) for _ in range(count)]

    def add_requests(self, count: int, path: str, body: object) -> list[Crawler]:
        """Start clients that send the same request once."""
        return [self._start(iter([(path, body)])) for _ in range(count)]

    def finish(self) -> None:
        """Let all crawlers end their current request, and check what they were answered."""
        self.end.set()
        for crawler in self.crawlers:
            crawler.join(3 * PATIENCE)
            assert not crawler.is_alive(), "each is answered"
            assert crawler.surprises == []

    def _updates(self, jobs: list[str], at_most: int, *, single: bool) -> Iterator[tuple[str, object]]:
        self._number += 1
        crawler = self._number
        for number in range(at_most):
            sent = [update(job, f"{crawler}-{number}") for job in jobs]
            yield PROGRESS, sent[0] if single else sent

    def _start(self, requests: Iterator[tuple[str, object]]) -> Crawler:
        crawler = Crawler(self._web, requests, self.end)
        self.crawlers.append(crawler)
        crawler.start()
        return crawler


def taken(crawlers: list[Crawler]) -> int:
    """How many requests of crawlers were taken."""
    return sum(crawler.answers[200] + crawler.answers[201] for crawler in crawlers)


def rejected(crawlers: list[Crawler]) -> int:
    """How many requests of crawlers were answered 503."""
    return sum(crawler.answers[503] for crawler in crawlers)


def go_on(crawlers: list[Crawler], by: int = 10) -> None:
    """Wait until each of the crawlers was answered so many times more."""
    until = [taken([crawler]) + by for crawler in crawlers]
    wait_until(lambda: all(taken([crawler]) >= goal for crawler, goal in zip(crawlers, until, strict=True)))


def check_counts(db: Connection, expected: dict[str, int]) -> None:
    """Compare what the jobs have counted; each has the state of its ledger."""
    rows = db.execute(
        "SELECT id, coalesce((progress #>> '{itemsByType,issues}')::int, 0), tallymark.verify_job(id)"
        " FROM tallymark.job WHERE id = ANY (%s)",
        [list(expected)],
    ).fetchall()
    assert {job: (count, verified) for job, count, verified in rows} == {
        job: (count, True) for job, count in expected.items()
    }


@pytest.fixture(scope="module")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of its own, which allows prepared transactions."""
    with EmbeddedPostgres(tmp_path_factory.mktemp("merging") / "data") as server:
        with psycopg.connect(server.url, autocommit=True) as db:
            db.execute("ALTER SYSTEM SET max_prepared_transactions = 5")
        server.stop()
        server.start()
        migrate(server.url)
        yield server.url


@contextmanager
def locked(url: str, job: str) -> Iterator[None]:
    """Hold a job by an open transaction."""
    with psycopg.connect(url) as holder:
        holder.execute("SELECT FROM tallymark.job WHERE id = %s FOR UPDATE", [job])
        yield
        holder.rollback()


@contextmanager
def forgotten(url: str, job: str) -> Iterator[None]:
    """Hold a job by a prepared transaction that belongs to no connection any more."""
    with psycopg.connect(url) as holder:
        holder.execute("SELECT FROM tallymark.job WHERE id = %s FOR UPDATE", [job])
        holder.execute("PREPARE TRANSACTION 'forgotten'")
    yield
    with psycopg.connect(url, autocommit=True) as anybody:
        anybody.execute("ROLLBACK PREPARED 'forgotten'")


@pytest.mark.parametrize("hold", [locked, forgotten])
def test_a_held_job_keeps_only_its_own_crawlers_waiting(
    start_web: StartWeb, server_url: str, hold: Callable[[str, str], Any]
) -> None:
    """30 crawlers of a held job, 30 of others: the others are answered 200, and so are reads, commands and /readyz."""
    web = start_web(server_url, TALLYMARK_LOCK_TIMEOUT="500")
    prefix = hold.__name__
    held, free = f"{prefix} held", [f"{prefix} free {number}" for number in range(10)]
    for job in (held, *free):
        assert web.register(job).status == 201
    crowd = Crowd(web)
    with psycopg.connect(server_url, autocommit=True) as db:
        with hold(server_url, held):
            stuck = crowd.add(30, held)
            others = [crawler for job in free for crawler in crowd.add(3, job)]
            wait_until(lambda: rejected(stuck) >= 30)
            go_on(others)
            assert web.call("GET", "/readyz").status == 200
            assert web.call("GET", f"/api/internal/jobs/{held.replace(' ', '%20')}").status == 200
            assert web.call("GET", "/api/internal/jobs").status == 200
            command = f"/api/internal/jobs/{free[0].replace(' ', '%20')}/command"
            assert web.call("POST", command, {"command": "pause"}).status == 200
            assert web.register(f"{prefix} new").status == 201
            go_on(others)
            assert taken(stuck) == 0, "nothing was merged into the held job"
            assert rejected(others) == 0, "and nobody else was turned away"
        go_on(stuck, 1)
        go_on(others, 1)
        crowd.finish()
        expected = {held: taken(stuck)}
        expected |= {job: taken(others[3 * number : 3 * number + 3]) for number, job in enumerate(free)}
        check_counts(db, expected)


def test_batches_commands_and_registrations_that_are_held_keep_nobody_else_waiting(
    start_web: StartWeb, db: Connection, db_url: str
) -> None:
    """Batches with a held job, commands for it, and 30 registrations of a job that somebody registers just now."""
    web = start_web(db_url, TALLYMARK_LOCK_TIMEOUT="500")
    for job in ("a", "held", "z", "free"):
        assert web.register(job).status == 201
    crowd = Crowd(web)
    with locked(db_url, "held"), psycopg.connect(db_url) as registering:
        registering.execute("SELECT tallymark.create_job('x')")
        batches = crowd.add_batches(15, ["z", "held", "a"])
        commands = crowd.add_requests(15, "/api/internal/jobs/held/command", {"command": "pause"})
        registrations = crowd.add_requests(30, "/api/internal/jobs", {"taskId": "x"})
        for stuck in (batches, commands, registrations):
            wait_until(lambda stuck=stuck: rejected(stuck) >= 10)  # type: ignore[misc]  # mypy cannot infer it
        # Those of the batches' other jobs go on, too.
        others = [*crowd.add(5, "free"), *crowd.add(5, "a"), *crowd.add(5, "z")]
        free_batches = crowd.add_batches(5, ["z", "free", "a"])
        go_on([*others, *free_batches])
        assert web.call("POST", "/api/internal/jobs/free/command", {"command": "pause"}).status == 200
        assert web.register("new").status == 201
        assert web.call("GET", "/readyz").status == 200
        assert taken([*batches, *commands, *registrations]) == 0
        assert rejected([*others, *free_batches]) == 0
        registering.commit()
    go_on(batches, 1)
    wait_until(lambda: taken(commands) == 15 and taken(registrations) == 30)
    crowd.finish()
    assert {status for crawler in registrations for status in crawler.answers} == {200, 503}, "it was registered before"
    whole, free = taken(batches), taken(free_batches)
    counts = {
        "a": whole + free + taken(others[5:10]),
        "held": whole,
        "z": whole + free + taken(others[10:]),
        "free": free + taken(others[:5]),
        "x": 0,
    }
    check_counts(db, counts)


def test_garbage_in_a_group_is_answered_as_if_it_were_alone(web: "Web", job: str) -> None:
    """What is not JSON, not UTF-8, has a byte 0, is refused or unknown, among good ones, in many threads at once."""
    good = json.dumps(update(job, "good")).encode()
    bodies = [
        good,
        b"{",
        b"",
        b"[1, 2",
        b'{"taskId": "\xff"}',
        good.replace(b"good", b"go\0od"),
        good.replace(b"good", b"go\\u0000od"),
        good.replace(b"processing", b"lost"),
        good.replace(job.encode(), b"nobody"),
        good.replace(b'"issues": 1', b'"issues": 1e131071'),
        good.replace(b'"issues": 1', b'"issues": 1e999999'),
        b"null",
        b"[]",
        b"[" + good + b", 7]",
    ]

    def told(body: bytes) -> tuple[int, Any]:
        answer = web.report(body)
        return answer.status, answer.json

    assert told(good)[1]["duplicate"] is False
    alone = [told(body) for body in bodies]
    assert [status for status, _ in alone] == [200, *[400] * 7, 404, *[400] * 3, 200, 200]
    with ThreadPoolExecutor(3 * len(bodies)) as threads:
        for _ in range(5):
            together = list(threads.map(told, bodies * 3))
            assert together == alone * 3
    assert web.call("GET", f"/api/internal/jobs/{job}").json["progress"]["itemsByType"] == {"issues": 4}


def test_updates_of_one_connection_are_merged_in_the_order_in_which_they_were_sent(
    start_web: StartWeb, db: Connection, db_url: str
) -> None:
    """One after the other, and also sent ahead without waiting for answers, while others report on the same job."""
    web = start_web(db_url)
    web.register("hot")
    crowd = Crowd(web)
    crawlers = crowd.add(12, "hot")
    requests = []
    for number in range(20):
        body = json.dumps(update("hot", f"ahead {number}")).encode()
        close = b"Connection: close\r\n" if number == 19 else b""
        requests.append(
            b"POST /api/internal/jobs/progress HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Authorization: Bearer %s\r\nContent-Length: %d\r\n%s\r\n%s" % (TOKEN.encode(), len(body), close, body)
        )
    with socket.create_connection(("127.0.0.1", web.port), timeout=PATIENCE) as plain:
        plain.sendall(b"".join(requests))
        got = b"".join(iter(lambda: plain.recv(65536), b""))
    ahead = [json.loads(part.partition(b"\r\n\r\n")[2])["seq"] for part in got.split(b"HTTP/1.1 200")[1:]]
    assert len(ahead) == 20
    assert ahead == sorted(ahead)
    go_on(crawlers)
    crowd.finish()
    for crawler in crawlers:
        assert crawler.seqs == sorted(crawler.seqs)
    check_counts(db, {"hot": taken(crawlers) + 20})


def groups_of(web: "Web") -> tuple[float, float]:
    """Return in how many calls updates were merged, and how many updates."""
    lines = dict(line.rsplit(" ", 1) for line in web.call("GET", "/metrics").body.decode().splitlines())
    return float(lines["tallymark_merge_group_size_count"]), float(lines["tallymark_merge_group_size_sum"])


def test_updates_that_come_at_once_share_calls_and_one_that_comes_alone_does_not_wait_for_others(
    start_web: StartWeb, db: Connection, db_url: str
) -> None:
    """16 connections get along with fewer calls than updates; and the counts are exact."""
    web = start_web(db_url)
    jobs = [f"job {number}" for number in range(4)]
    for job in jobs:
        web.register(job)
    assert web.report(update(jobs[0], "alone")).status == 200
    assert groups_of(web) == (1, 1)
    crowd = Crowd(web)
    crawlers = [crawler for job in jobs for crawler in crowd.add(4, job)]
    go_on(crawlers, 30)
    crowd.finish()
    calls, updates = groups_of(web)
    assert updates == taken(crawlers) + 1
    assert calls < updates
    check_counts(db, {job: taken(crawlers[4 * n : 4 * n + 4]) + (n == 0) for n, job in enumerate(jobs)})


def test_a_backend_that_ends_in_the_middle_of_a_group_goes_unnoticed(
    start_web: StartWeb, db: Connection, db_url: str
) -> None:
    """Ten times a backend is terminated while it merges a group: each update is answered 200, and counts once."""
    web = start_web(db_url)
    jobs = [f"job {number}" for number in range(8)]
    for job in jobs:
        web.register(job)
    crowd = Crowd(web)
    crawlers = [crawler for job in jobs for crawler in crowd.add(3, job)]
    go_on(crawlers, 1)
    for _ in range(10):
        # More at work than one attempt needs: the second attempt is left alone.
        give_up = time.monotonic() + PATIENCE
        while not db.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            " AND state = 'active' AND query LIKE '%receive_group%' AND pid <> pg_backend_pid()"
        ).fetchall():
            assert time.monotonic() < give_up, "groups are merged"
        go_on(crawlers, 2)
    crowd.finish()
    assert rejected(crawlers) == 0
    check_counts(db, {job: taken(crawlers[3 * n : 3 * n + 3]) for n, job in enumerate(jobs)})


def test_two_workers_that_merge_groups_of_the_same_jobs_lose_nothing(
    start_web: StartWeb, db: Connection, db_url: str
) -> None:
    """What the group of one worker holds comes into the other worker's line, and all is merged once."""
    web = start_web(db_url, TALLYMARK_WORKERS="2")
    jobs = [f"job {number}" for number in range(3)]
    for job in jobs:
        web.register(job)
    crowd = Crowd(web)
    hot = crowd.add(24, jobs[0])
    others = [*crowd.add(6, jobs[1]), *crowd.add(6, jobs[2])]
    batches = crowd.add_batches(4, jobs)
    go_on([*hot, *others, *batches], 15)
    crowd.finish()
    assert rejected(crowd.crawlers) == 0
    whole = taken(batches)
    check_counts(
        db, {jobs[0]: taken(hot) + whole, jobs[1]: taken(others[:6]) + whole, jobs[2]: taken(others[6:]) + whole}
    )
