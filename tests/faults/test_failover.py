"""The primary of a cluster that Patroni keeps is killed, hangs, or hands over: what was acknowledged counts once.

TALLYMARK_TEST_FAILOVERS=20 kills it that often.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.processes import ending
from tests.web.conftest import TOKEN, Web
from tests.web.watching import Watching

from tallymark import ProgressClient
from tallymark.schema.migrate import migrate

from .crawlers import PATIENCE_SECONDS, Crawler, Tally
from .debian import Programs, find_programs
from .ledger import check_jobs, check_ledger, keys_of
from .patroni import Cluster, Node, running, wait_for
from .servers import CLI
from .updates import CUMULATIVE_JOBS, JOBS

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800)]

FAILOVERS = int(os.environ.get("TALLYMARK_TEST_FAILOVERS", "0")) or 3
CRAWLERS = 16
JOB = "/api/internal/jobs/job"


@pytest.fixture(scope="session")
def programs() -> Programs:
    """Patroni and etcd."""
    return find_programs()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@contextmanager
def _crawling(port: int, tally: Tally) -> Iterator[list[Crawler]]:
    """Let crawlers report that obey Retry-After, and wait at the end until each has its answers."""
    seed = random.SystemRandom().randrange(10**6)
    crawlers = [Crawler(number, port, tally, seed=seed, obeys=True) for number in range(CRAWLERS)]
    for crawler in crawlers:
        crawler.start()
    patience = 0.0
    try:
        yield crawlers
        patience = PATIENCE_SECONDS
    finally:
        for crawler in crawlers:
            crawler.end(patience)
        for crawler in crawlers:
            crawler.join(120)


@contextmanager
def _reading(web: Web, tally: Tally) -> Iterator[None]:
    """Read a job all the time, which must never fail: a replica can be read while there is no primary."""
    done = threading.Event()

    def read() -> None:
        while not done.wait(0.05):
            began = time.monotonic()
            answer = web.call("GET", "/api/internal/jobs/crawl%2000")
            tally.count(f"read {answer.status}")
            tally.count("reads of more than 5 s", time.monotonic() - began > 5)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield
    finally:
        done.set()
        reader.join()


@contextmanager
def _commands(cluster: Cluster, tally: Tally, directory: Path) -> Iterator[None]:
    """Run the watchdog all the time, which must go on, and `verify` again and again, which must find no difference."""
    done = threading.Event()
    environ = {**os.environ, "DATABASE_URL": cluster.url()}

    def verify() -> None:
        while not done.wait(10.0):
            ended = subprocess.run([*CLI, "verify"], env=environ, capture_output=True, timeout=120, check=False)
            tally.count(f"verify: exit {ended.returncode}")
            if ended.returncode not in {0, 2}:
                tally.surprise(f"verify: {ended.stdout!r} {ended.stderr!r}")

    with (directory / "watchdog.log").open("wb") as log:
        watchdog = subprocess.Popen(
            [*CLI, "watchdog", "--interval", "1", "--verify", "100"], env=environ, stdout=log, stderr=log
        )
    verifier = threading.Thread(target=verify, daemon=True)
    verifier.start()
    try:
        yield
        said = directory / "watchdog.log"
        wait_for(lambda: "the database is back" in said.read_text() or watchdog.poll() is not None, "the watchdog")
        assert watchdog.poll() is None, said.read_text()
    finally:
        done.set()
        verifier.join()
        watchdog.kill()
        watchdog.wait()


def _acknowledged(tally: Tally) -> int:
    return tally.counts["acknowledged"]


def _goes_on(tally: Tally, updates: int = 50) -> None:
    """Wait until some more updates were acknowledged."""
    before = _acknowledged(tally)
    wait_for(lambda: _acknowledged(tally) >= before + updates or tally.surprises, "updates to be acknowledged")


def _kill(cluster: Cluster, primary: Node) -> None:
    """Kill the primary and its Patroni, and start them again once another node is the primary."""
    primary.kill()
    cluster.wait_for_primary(other_than=primary)


def _hang(cluster: Cluster, primary: Node) -> None:
    """Stop all processes of the primary, while its machine goes on, until another node has taken over."""
    primary.signal(signal.SIGSTOP)
    try:
        cluster.wait_for_primary(other_than=primary)
    finally:
        primary.signal(signal.SIGCONT)


def _hand_over(cluster: Cluster, primary: Node) -> None:
    """Hand over to the synchronous replica, as for maintenance."""
    primary.switch_over()
    cluster.wait_for_primary(other_than=primary)


def _is_read(node: Node) -> bool:
    """Return whether a node is a replica that the endpoint reads from."""
    query = "SELECT pg_is_in_recovery() AND EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'tallymark')"
    with psycopg.connect(node.url()) as connection:
        return connection.execute(query).fetchone() == (True,)


def _check(cluster: Cluster, crawlers: list[Crawler]) -> None:
    """Check that each acknowledged update is in the ledger once, and that each job has the state of its updates."""
    sent = [one for crawler in crawlers for one in crawler.notebook.sent]
    with psycopg.connect(cluster.url(), autocommit=True) as db:
        keys = keys_of(db, sent)
        landed = check_ledger(db, keys)
        check_jobs(db, landed, keys)
        row = db.execute("SELECT count(*) FROM tallymark.job WHERE NOT tallymark.verify_job(id)").fetchone()
        assert row == (0,)
    acknowledged = sum(one.seq is not None for one in sent)
    _say(f"{acknowledged} acknowledged, 0 lost, 0 doubled")


def _prune(cluster: Cluster) -> None:
    """Kill the primary while old events are folded; another run does the rest, and all jobs verify."""
    environ = {**os.environ, "DATABASE_URL": cluster.url()}
    command = [*CLI, "prune", "--older-than", "0s", "--keep", "5", "--share", "0.2"]
    pruning = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    with ending(pruning):
        with psycopg.connect(cluster.url(), autocommit=True) as db:
            wait_for(
                lambda: db.execute("SELECT 1 FROM tallymark.pruned_update LIMIT 1").fetchone(), "something to be pruned"
            )
        _kill(cluster, cluster.wait_for_primary())
        _out, complaint = pruning.communicate(timeout=120)
    assert pruning.returncode == 2, complaint
    for arguments in (command, [*CLI, "verify"]):
        done = subprocess.run(arguments, env=environ, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        _say(f"{arguments[len(CLI)]}: {done.stdout.strip()}")


def _migrated(cluster: Cluster) -> None:
    migrate(cluster.url())
    with psycopg.connect(cluster.url(), autocommit=True) as db:
        for job in JOBS:
            attributes = '{"counting": "cumulative"}' if job in CUMULATIVE_JOBS else "{}"
            db.execute("SELECT tallymark.create_job(%s, %s)", [job, attributes])


def test_no_acknowledged_update_is_lost_with_synchronous_replication(
    programs: Programs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """16 crawlers report, and a page reads, while the primary is killed with -9, hangs, and hands over."""
    tally = Tally()
    faults: list[tuple[str, Callable[[Cluster, Node], None]]] = [
        *[("killed", _kill)] * FAILOVERS,
        ("hung", _hang),
        ("handed over", _hand_over),
    ]
    with capsys.disabled(), running(tmp_path / "cluster", programs, nodes=3, is_synchronous=True) as cluster:
        _migrated(cluster)
        reading = cluster.url(target_session_attrs="prefer-standby")
        web = Web(cluster.url(), tmp_path / "web.log", {"DATABASE_READ_URL": reading, "TALLYMARK_WORKERS": "2"})
        try:
            with (
                _crawling(web.port, tally) as crawlers,
                _reading(web, tally),
                _commands(cluster, tally, tmp_path),
            ):
                for number, (name, fault) in enumerate(faults, 1):
                    _goes_on(tally)
                    primary = cluster.wait_until_whole()
                    before, began = _acknowledged(tally), time.monotonic()
                    tally.longest_wait = 0.0
                    fault(cluster, primary)
                    elected = time.monotonic() - began
                    wait_for(lambda: _acknowledged(tally) > before, "an acknowledgement")  # noqa: B023
                    _goes_on(tally)
                    _say(
                        f"{number} of {len(faults)}: {name}; another primary after {elected:.1f} s, updates after "
                        f"{time.monotonic() - began:.1f} s; a crawler waited for {tally.longest_wait:.1f} s at most; "
                        f"{_acknowledged(tally)} acknowledged"
                    )
                    if fault is _kill:
                        primary.start()
                    assert not tally.surprises, "\n".join(tally.surprises[:20])
                cluster.wait_until_whole()
                wait_for(lambda: any(map(_is_read, cluster.nodes)), "a replica to be read from")
        finally:
            for name, count in sorted(tally.counts.items()):
                _say(f"  {name:<50}{count:>8}")
            web.stop()
        assert not tally.surprises, "\n".join(tally.surprises[:20])
        assert tally.counts["read 200"] == sum(count for name, count in tally.counts.items() if name[:5] == "read ")
        _check(cluster, crawlers)
        _prune(cluster)
    assert "Traceback" not in (tmp_path / "web.log").read_text()


def _update(number: int) -> dict[str, object]:
    return {
        "taskId": "job",
        "updateId": str(number),
        "status": "processing",
        "timestamp": f"2025-01-06T19:15:{number:02}Z",
        "message": f"m{number}",
    }


def _told(data: Any) -> list[tuple[int, str]]:  # noqa: ANN401 - a message's
    """Return the events of a message: their numbers, and which update each is."""
    return [(event["seq"], event["details"]["message"]) for event in data["events"]]


def test_asynchronous_replication_loses_what_was_not_replicated_and_nobody_takes_the_new_for_the_old(
    programs: Programs, tmp_path: Path
) -> None:
    """Numbers are used again, tags and the ids of streams are not; what is sent again counts."""
    with running(tmp_path / "cluster", programs, nodes=2, is_synchronous=False) as cluster:
        migrate(cluster.url())
        web = Web(cluster.url(), tmp_path / "web.log", {})
        try:
            assert web.register("job").status == HTTPStatus.CREATED
            assert web.report(_update(1)).json["seq"] == 1
            primary = cluster.wait_until_whole()
            cluster.cut_off_replicas(primary)
            assert web.report(_update(2)).json["seq"] == 2
            lost = web.call("GET", JOB)
            with Watching(web, job="job", last=0) as watching:
                assert _told(watching.next("job")) == [(1, "m1"), (2, "m2")]
                primary.kill()
                cluster.wait_for_primary(other_than=primary)
                wait_for(lambda: web.report(_update(3)).status == HTTPStatus.OK, "the endpoint to find the new primary")
                # The stream was open all the time.
                have, resets = [(1, "m1"), (2, "m2")], 0
                while have != [(1, "m1"), (2, "m3")]:
                    data = watching.next("job")
                    resets += "reset" in data
                    have = _told(data) if "reset" in data else [*have, *_told(data)]
                assert resets == 1
            now = web.call("GET", JOB, headers={"If-None-Match": lost.headers["etag"]})
            assert (now.status, now.json["lastSeq"], lost.json["lastSeq"]) == (HTTPStatus.OK, 2, 2)
            assert now.json["progress"]["message"] == "m3", "update 2 is lost, and update 3 has its number"
            again = web.report(_update(2)).json
            assert (again["duplicate"], again["seq"]) == (False, 3), "who still has it brings it back"
        finally:
            web.stop()


def test_the_client_delivers_after_an_asynchronous_failover_what_was_not_acknowledged(
    programs: Programs, tmp_path: Path
) -> None:
    """It keeps nothing of what was acknowledged; a job that was lost whole is registered again."""
    with running(tmp_path / "cluster", programs, nodes=2, is_synchronous=False) as cluster:
        migrate(cluster.url())
        web = Web(cluster.url(), tmp_path / "web.log", {})
        client = ProgressClient(f"http://127.0.0.1:{web.port}", token=TOKEN, spool=tmp_path / "spool")
        try:
            with client, client.job("old") as old:
                old.advance("issues", 10, last_id="10")
                assert old.flush()
                primary = cluster.wait_until_whole()
                cluster.cut_off_replicas(primary)
                old.advance("issues", 5, last_id="15")
                assert old.flush()
                assert client.undelivered == 0, "nothing of it is kept"
                with client.job("young") as young:
                    young.advance("issues", 7, last_id="7")
                    assert young.flush()
                    primary.kill()
                    old.advance("issues", 3, last_id="18")
                    assert not old.flush(timeout=1.0), "it is in the spool"
                    young.advance("issues", 2, last_id="9")
                    cluster.wait_for_primary(other_than=primary)
                    wait_for(lambda: old.flush() and young.flush(), "the client to find the server again")
            with psycopg.connect(cluster.url(), autocommit=True) as db:
                query = """SELECT id, progress -> 'itemsByType' -> 'issues', progress ->> 'lastProcessedId'
                    FROM tallymark.job"""
                found = {job: (count, last) for job, count, last in db.execute(query).fetchall()}
            assert found == {"old": (13, "18"), "young": (2, "9")}, "5 and 7 were acknowledged, and are lost"
        finally:
            web.stop()
