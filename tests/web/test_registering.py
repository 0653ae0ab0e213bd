"""TALLYMARK_REGISTER_ON_FIRST_REPORT: over HTTP, the first update of an unknown job registers it."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from tests.web.conftest import Web
from tests.web.watching import wait_until

Connection = psycopg.Connection[Any]


def update(job: str, **members: object) -> dict[str, Any]:
    """Return an update that counts two issues."""
    return {
        "taskId": job,
        "status": "processing",
        "timestamp": "2025-01-06T19:15:30Z",
        "itemsByType": {"issues": 2},
        **members,
    }


@pytest.fixture
def registering(start_web: Callable[..., Web], db_url: str) -> Web:
    """A server with the setting."""
    return start_web(db_url, TALLYMARK_REGISTER_ON_FIRST_REPORT="1")


def ids(db: Connection) -> list[str]:
    """Return the ids of all jobs; each has the state of its ledger."""
    rows = db.execute("SELECT id, tallymark.verify_job(id) FROM tallymark.job ORDER BY id").fetchall()
    assert all(verified for _job, verified in rows)
    return [job for job, _verified in rows]


def test_without_the_setting_an_unknown_job_is_refused(
    start_web: Callable[..., Web], db_url: str, db: Connection
) -> None:
    """As ever: 404, nothing is stored, and the answer says how to register it."""
    web = start_web(db_url)
    answer = web.report(update("new"))
    assert (answer.status, answer.json["error"]) == (404, "Job not found")
    assert "TALLYMARK_REGISTER_ON_FIRST_REPORT" in answer.json["detail"]
    assert [one["status"] for one in web.report([update("new"), update("other")]).json] == [404, 404]
    assert ids(db) == []


def test_with_it_the_job_is_registered_and_the_update_is_taken(registering: Web, db: Connection) -> None:
    """By itself and in a batch; what is refused registers nothing. Reading an unknown job is 404 as ever."""
    answer = registering.report(update("new", status="started"))
    assert answer.status == 200
    assert {name: answer.json[name] for name in ("status", "seq", "duplicate")} == {
        "status": "received",
        "seq": 1,
        "duplicate": False,
    }
    assert answer.json["resume"]["itemsByType"] == {"issues": 2}
    assert registering.report(update("new", status="started")).json["duplicate"] is True
    job = registering.call("GET", "/api/internal/jobs/new").json
    assert (job["status"], job["attributes"], job["lastSeq"]) == ("running", {}, 1)

    assert registering.report(update("bad", processedItems=-1)).status == 400
    assert registering.report(update("bad", status="lost")).status == 400
    assert registering.report({"taskId": "bad"}).status == 400
    results = registering.report([update("b"), update("bad", stage=7), update("a"), 7]).json
    assert [one["status"] for one in results] == ["received", 400, "received", 400]
    assert registering.call("GET", "/api/internal/jobs/unknown").status == 404
    assert registering.call("POST", "/api/internal/jobs/unknown/command", {"command": "pause"}).status == 404
    assert ids(db) == ["a", "b", "new"]


def test_a_token_registers_only_jobs_of_its_prefix(registering: Web, db: Connection) -> None:
    """Others are 403, as for a job that is there; and a token that may not write registers nothing."""
    tokens = {
        name: db.execute("SELECT tallymark.create_token(%s, %s, 'shop-')", [name, [scope]]).fetchone()
        for name, scope in (("crawler", "write"), ("reader", "read"))
    }
    [crawler], [reader] = (token or ("",) for token in tokens.values())
    assert registering.report(update("bank-1"), token=crawler).status == 403
    assert registering.report(update("shop-1"), token=reader).status == 403
    assert registering.report(update("shop-1"), token=crawler).status == 200
    mixed = registering.report([update("bank-1"), update("shop-2")], token=crawler).json
    assert [one["status"] for one in mixed] == [403, "received"]
    assert ids(db) == ["shop-1", "shop-2"]


def test_a_first_report_with_a_header_as_its_key_counts_once(registering: Web, db: Connection) -> None:
    """Idempotency-Key works as for any other update."""
    for duplicate in (False, True):
        answer = registering.report(update("new"), headers={"Idempotency-Key": "k"})
        assert answer.json["duplicate"] is duplicate
    assert ids(db) == ["new"]


def test_many_crawlers_that_report_first_at_once_are_all_counted(registering: Web, db: Connection) -> None:
    """Groups of updates, some of them bad, on the same new jobs: each is registered once, and no update is lost."""

    def send(number: int) -> list[int]:
        job = f"job {number % 10}"
        good = registering.report(update(job, updateId=str(number))).status
        bad = registering.report(update(f"bad {number}", totalItems="many")).status
        return [good, bad]

    with ThreadPoolExecutor(32) as crawlers:
        assert list(crawlers.map(send, range(200))) == [[200, 400]] * 200
    assert ids(db) == [f"job {number}" for number in range(10)]
    rows = db.execute("SELECT progress #>> '{itemsByType,issues}' FROM tallymark.job").fetchall()
    assert rows == [("40",)] * 10


@pytest.fixture
def registration(db_url: str) -> Iterator[Connection]:
    """A transaction that is registering the job `new`."""
    with psycopg.connect(db_url) as other:
        other.execute("SELECT tallymark.create_job('new', %s)", [json.dumps({"account": "acme"})])
        yield other


def test_a_job_that_somebody_is_registering_is_waited_for_and_keeps_its_attributes(
    registering: Web, db: Connection, registration: Connection, wait_for_waiting: Callable[[], None]
) -> None:
    """Other crawlers go on meanwhile."""
    with ThreadPoolExecutor(1) as crawler:
        waiting = crawler.submit(registering.report, update("new"))
        wait_for_waiting()
        assert registering.report(update("other")).status == 200
        registration.commit()
        assert waiting.result(30).status == 200
    assert ids(db) == ["new", "other"]
    assert db.execute("SELECT attributes FROM tallymark.job WHERE id = 'new'").fetchone() == ({"account": "acme"},)


@pytest.fixture
def wait_for_waiting(db: Connection) -> Callable[[], None]:
    """Wait until a session of this database waits for a lock."""
    waiting = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND locktype = 'transactionid')"
    return lambda: wait_until(lambda: db.execute(waiting).fetchone() == (True,))
