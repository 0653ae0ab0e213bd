"""Jobs that another transaction holds, over HTTP: who waits for them, who does not, and how the wait ends."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from tests.web.watching import wait_until

if TYPE_CHECKING:
    from tests.web.conftest import Answer, Web

Connection = psycopg.Connection[Any]
StartWeb = Callable[..., "Web"]
Update = Callable[..., dict[str, object]]

_JOBS = "/api/internal/jobs"
#: Those that wait for longer than the calls that give up after a moment.
_PATIENT = """
SELECT count(*) FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
WHERE a.application_name = 'tallymark' AND a.datname = current_database()
  AND NOT l.granted AND clock_timestamp() - l.waitstart > interval '1 second'
"""


@contextmanager
def held(url: str, *jobs: str) -> Iterator[None]:
    """Hold jobs by an open transaction."""
    with psycopg.connect(url) as holder:
        holder.execute("SELECT FROM tallymark.job WHERE id = ANY (%s) ORDER BY id FOR UPDATE", [list(jobs)])
        yield
        holder.rollback()


def are_patient(db: Connection, count: int) -> bool:
    """Whether so many calls wait for their jobs as long as TALLYMARK_LOCK_TIMEOUT allows."""
    return db.execute(_PATIENT.encode()).fetchone() == (count,)


def counted(db: Connection, *jobs: str) -> list[int]:
    """Return how many updates each job has, if its state is the fold of its ledger."""
    rows = db.execute(
        "SELECT (SELECT count(*) FROM tallymark.job_event AS e WHERE e.job_id = j.id)"
        " FROM tallymark.job AS j WHERE j.id = ANY (%s) AND tallymark.verify_job(j.id) ORDER BY j.id",
        [list(jobs)],
    ).fetchall()
    return [count for (count,) in rows]


def turned_away(web: "Web") -> int:
    """Return how many requests were answered 503 for their wait, as the metrics have it."""
    found = re.search(r"^tallymark_turned_away_total (\d+)", web.call("GET", "/metrics").body.decode(), re.MULTILINE)
    return int(found[1]) if found else 0


def check_busy(answer: "Answer") -> None:
    """Check the answer to one that has waited in vain."""
    assert (answer.status, answer.json["error"]) in {(503, "Database busy"), (503, "Server busy")}
    assert answer.headers["retry-after"].isdigit()


@pytest.mark.parametrize("lock_timeout", ["1", "20", "49", "50", "51", "100"])
def test_the_wait_for_a_held_job_ends_whatever_the_lock_timeout_is(
    start_web: StartWeb, db: Connection, db_url: str, update: Update, lock_timeout: str
) -> None:
    """Also if it is that of a step before. Every 503 is counted as turned away, and what is sent again counts once."""
    web = start_web(db_url, TALLYMARK_LOCK_TIMEOUT=lock_timeout)
    for job in ("a", "b"):
        web.register(job)
    one = update("a", updateId="one")
    batch = [update("b", updateId="two"), update("a", updateId="two")]
    before = turned_away(web)
    with held(db_url, "a"), ThreadPoolExecutor(8) as threads:
        check_busy(web.report(one))
        check_busy(web.report(batch))
        check_busy(web.call("POST", f"{_JOBS}/a/command", {"command": "pause"}))
        for answer in [*threads.map(web.report, [one, batch] * 4)]:
            check_busy(answer)
        assert turned_away(web) == before + 11
        assert web.report(update("b", updateId="free")).status == 200
    assert counted(db, "a", "b") == [0, 1]
    for body in (one, batch, one, batch):
        assert web.report(body).status == 200
    assert counted(db, "a", "b") == [2, 2]
    assert turned_away(web) == before + 11


def test_registrations_that_wait_in_vain_are_counted_as_turned_away(start_web: StartWeb, db_url: str) -> None:
    """Somebody registers the same job just now."""
    web = start_web(db_url, TALLYMARK_LOCK_TIMEOUT="50")
    with psycopg.connect(db_url) as registering:
        registering.execute("SELECT tallymark.create_job('x')")
        before = turned_away(web)
        for _ in range(3):
            check_busy(web.register("x"))
        assert turned_away(web) == before + 3
        registering.commit()
    assert web.register("x").status == 200


def test_more_held_jobs_than_places_keep_nobody_else_waiting(
    start_web: StartWeb, db: Connection, db_url: str, update: Update
) -> None:
    """Those beyond the limit are turned away, and all others are answered; none of these waits would end by itself."""
    web = start_web(
        db_url,
        TALLYMARK_MAX_WAITING="40",
        TALLYMARK_MAX_WAIT="600",
        TALLYMARK_LOCK_TIMEOUT="0",
        TALLYMARK_POOL_SIZE="8",
    )
    jobs = [f"held{number:02}" for number in range(60)]
    for job in ("free", *jobs):
        assert web.register(job).status == 201
    with ThreadPoolExecutor(60) as threads:
        with held(db_url, *jobs):
            # A quarter of 40 waits, and one on each of the connections for such calls: a quarter of 8.
            calls = [threads.submit(web.report, update(job, updateId="1")) for job in jobs]
            wait_until(lambda: sum(call.done() for call in calls) >= 60 - 12 and are_patient(db, 2))
            calls += [threads.submit(web.report, update(job, updateId="2")) for job in jobs]
            wait_until(lambda: sum(call.done() for call in calls) >= 120 - 12)
            for call in calls:
                if call.done():
                    check_busy(call.result())
            assert web.call("GET", "/healthz").status == 200
            assert web.call("GET", "/readyz").status == 200
            assert web.report(update("free", updateId="1")).status == 200
            assert web.report([update("free", updateId="2")]).status == 200
            assert web.call("POST", f"{_JOBS}/free/command", {"command": "pause"}).status == 200
            assert web.register("new").status == 201
            assert web.call("GET", f"{_JOBS}/{jobs[0]}").status == 200
        statuses = [call.result().status for call in calls]
    assert set(statuses) == {200, 503}
    assert 2 <= statuses.count(200) <= 12
    assert sum(counted(db, *jobs)) == statuses.count(200)
    assert web.report(update(jobs[-1], updateId="after")).status == 200


@pytest.fixture
def waiting(start_web: StartWeb, db: Connection, db_url: str, update: Update) -> Iterator["Web"]:
    """A server with a job `held`, for which an update waits without limit, and others called `mine-1` to `mine-3`."""
    web = start_web(db_url, TALLYMARK_LOCK_TIMEOUT="0", TALLYMARK_STATEMENT_TIMEOUT="0", TALLYMARK_MAX_WAIT="10")
    for job in ("held", "mine-1", "mine-2", "mine-3"):
        assert web.register(job).status == 201
    with ThreadPoolExecutor(1) as threads:
        with held(db_url, "held"):
            stuck = threads.submit(web.report, update("held", updateId="stuck"))
            wait_until(lambda: are_patient(db, 1))
            yield web
            assert not stuck.done()
        assert stuck.result().status == 200
    assert counted(db, "held") == [1]


@pytest.fixture
def mine(db: Connection) -> str:
    """A token for jobs that begin with `mine-`."""
    row = db.execute("SELECT tallymark.create_token('mine', '{write}', 'mine-')").fetchone()
    assert row is not None
    return str(row[0])


def test_foreign_jobs_of_a_batch_are_refused_though_somebody_holds_them(
    waiting: "Web", db: Connection, update: Update, mine: str
) -> None:
    """A token with a prefix: its own jobs are merged meanwhile, and nothing waits."""
    batch = waiting.report([update(job, updateId="b") for job in ("mine-1", "held", "mine-2")], token=mine)
    assert batch.status == 200
    assert [each["status"] for each in batch.json] == ["received", 403, "received"]
    alone = waiting.report([update("held")], token=mine)
    assert [each["status"] for each in alone.json] == [403]
    assert counted(db, "held", "mine-1", "mine-2") == [0, 1, 1]


def test_an_update_of_a_foreign_job_is_refused_though_somebody_holds_it(
    waiting: "Web", update: Update, mine: str
) -> None:
    """It does not wait behind those of that job's own crawlers."""
    answer = waiting.report(update("held"), token=mine)
    assert (answer.status, answer.json["error"]) == (403, "Forbidden")


def test_a_registration_of_a_foreign_job_is_refused_though_somebody_holds_it(waiting: "Web", mine: str) -> None:
    """It does not wait behind the updates of that job's own crawlers, either."""
    answer = waiting.call("POST", _JOBS, {"taskId": "held"}, token=mine)
    assert (answer.status, answer.json["error"]) == (403, "Forbidden")


def test_a_job_that_is_registered_already_can_be_registered_again_while_somebody_holds_it(waiting: "Web") -> None:
    """Nothing of it is changed, so nothing waits."""
    assert waiting.register("held").status == 200


def test_a_batch_that_is_too_long_is_refused_though_somebody_holds_its_jobs(
    waiting: "Web", db: Connection, update: Update
) -> None:
    """Nothing of it is merged, so nothing waits."""
    batch = [update("held" if number == 500 else "mine-1", updateId=str(number)) for number in range(1001)]
    assert waiting.report(batch).status == 413
    assert counted(db, "held", "mine-1") == [0, 0]


@pytest.mark.parametrize(
    "body",
    [
        '{"custom": {"taskId": "held"}, %s, "taskId": "mine-1"}',
        '{"taskId": "mine-1", %s, "custom": {"taskId": "held"}}',
        '{"taskId": "held", %s, "taskId": "mine-1"}',
        '{"task\\u0049d": "held", %s, "taskId": "mine-1"}',
        '{"message": "\\"taskId\\": \\"held", %s, "taskId": "mine-1"}',
        '{"message": "\\"taskId\\": \\"held\\"", %s, "task\\u0049d": "mine-1"}',
        '{"custom": ["taskId", "held", {"taskId"  :\t"held"}], %s, "taskId": "mine\\u002d1"}',
    ],
)
def test_an_update_that_only_seems_to_be_for_a_held_job_is_merged(waiting: "Web", db: Connection, body: str) -> None:
    """The id of that job is somewhere in it, or was replaced by a later one."""
    rest = '"status": "processing", "timestamp": "2025-01-06T19:15:30Z", "updateId": "u"'
    answer = waiting.report(body % rest)
    assert answer.status == 200, answer.body
    assert counted(db, "held", "mine-1") == [0, 1]
