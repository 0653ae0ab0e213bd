"""The endpoint on a distributed database: updates are merged on the server of their job, and hold up nobody else."""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from tests.processes import ending_if_it_fails
from tests.web.conftest import Web
from tests.web.test_merging import Crowd, go_on, groups_of, taken, update
from tests.web.watching import wait_until

from tallymark.functions.http import RECEIVE_FOR_JOB
from tallymark.schema.distribute import distribute

from .cluster import Database, database, on

pytestmark = [pytest.mark.citus, pytest.mark.slow]

#: More than PostgreSQL plans one by one, before it tries a plan for all parameters.
_CALLS = 12


@pytest.fixture(scope="module")
def distributed() -> Iterator[Database]:
    """A database that is distributed."""
    with database() as made:
        assert [finding for finding in distribute(made.url, shards=8) if finding.kind != "setting"] == []
        yield made


@pytest.fixture
def jobs(distributed: Database) -> list[str]:
    """Some jobs of its own for each test."""
    made = [f"crawl {secrets.token_hex(4)}" for _ in range(6)]
    for job in made:
        on(distributed.url, "SELECT tallymark.create_job(%s)", job)
    return made


@pytest.fixture
def web(distributed: Database, tmp_path: Path) -> Iterator[Web]:
    """An endpoint on it."""
    # Without its own limit no other one ends a wait.
    running = Web(distributed.url, tmp_path / "web.log", {"TALLYMARK_STATEMENT_TIMEOUT": "0"})
    with ending_if_it_fails(running.process):
        yield running
    running.process.terminate()
    running.process.wait(30)


def counts(distributed: Database, jobs: list[str]) -> dict[str, int]:
    """What each job has counted; each has the state of its ledger."""
    found = {}
    for job in jobs:
        [(document,)] = on(distributed.url, "SELECT tallymark.get_job(%s, 0)", job)
        assert on(distributed.url, "SELECT tallymark.verify_job(%s)", job) == [(True,)]
        found[job] = document["progress"].get("itemsByType", {}).get("issues", 0)
    return found


@pytest.mark.parametrize("size", [1, 4])
def test_each_call_for_one_job_is_one_statement_that_runs_on_the_server_of_the_job(
    distributed: Database, jobs: list[str], size: int
) -> None:
    """As the endpoint prepares it, and however often it is called."""
    sent: list[str] = []
    with psycopg.connect(distributed.url, autocommit=True) as connection:
        connection.execute("SET ROLE tallymark_writer")
        connection.execute("SET client_min_messages = notice")
        connection.execute("SET citus.log_remote_commands = on")
        connection.add_notice_handler(lambda notice: sent.append(notice.message_primary or ""))
        statement = RECEIVE_FOR_JOB[size]
        connection.pgconn.prepare(statement.name, statement.sql)
        for number in range(_CALLS):
            job = jobs[number % len(jobs)]
            bodies = [json.dumps(update(job, f"{size} {number} {place}")).encode() for place in range(size)]
            sent.clear()
            parameters = [*bodies, *[None] * 2 * size, b"false", b"1000", b"false", job.encode()]
            result = connection.pgconn.exec_prepared(statement.name, parameters)  # type: ignore[arg-type]  # it takes None
            answers = json.loads(result.get_value(0, 0) or b"")
            assert [json.loads(answer)["duplicate"] for answer, _, _ in answers] == [False] * size
            assert [text.startswith("issuing SELECT tallymark.receive_for_job(") for text in sent] == [True], sent
    assert counts(distributed, jobs) == dict.fromkeys(jobs, size * _CALLS // len(jobs))


def test_the_endpoint_merges_no_update_on_the_coordinator(distributed: Database, jobs: list[str], web: Web) -> None:
    """Neither one by itself nor several at once: there it may not even call what would do it."""
    assert web.report(update(jobs[0], "warms up")).status == 200
    on(
        distributed.url,
        "REVOKE EXECUTE ON FUNCTION tallymark.receive_for_job, tallymark.receive_group, tallymark.receive_progress"
        " FROM tallymark_writer; GRANT EXECUTE ON FUNCTION tallymark.receive_for_job TO tallymark_writer",
    )
    crowd = Crowd(web)
    try:
        crawlers = [one for job in jobs for one in crowd.add(3, job)]
        go_on(crawlers, 5)
    finally:
        crowd.finish()
        on(
            distributed.url,
            "GRANT EXECUTE ON FUNCTION tallymark.receive_group, tallymark.receive_progress TO tallymark_writer",
        )
    of_job = {job: taken(crawlers[3 * number : 3 * number + 3]) + (not number) for number, job in enumerate(jobs)}
    assert counts(distributed, jobs) == of_job
    calls, updates = groups_of(web)
    assert calls < updates, "updates of one job share calls"


def test_a_held_job_keeps_only_its_own_crawlers_waiting(distributed: Database, jobs: list[str], web: Web) -> None:
    """And loses nothing; neither does one whose neighbours are refused."""
    crowd = Crowd(web)
    with psycopg.connect(distributed.url) as holder:
        holder.execute("SELECT j.id FROM tallymark.job AS j WHERE j.id = %s FOR UPDATE", [jobs[0]])
        waiting = crowd.add(3, jobs[0])
        others = [one for job in jobs[1:] for one in crowd.add(2, job)]
        refused = web.report({**update(jobs[1], "wrong"), "status": "lost"})
        assert refused.status == 400, refused
        assert [detail["field"] for detail in refused.json["details"]] == ["status"]
        go_on(others)
        assert taken(waiting) == 0
        # These run on the coordinator, whose lock_timeout does not reach the server of the job.
        command = {"command": "pause"}
        assert web.call("POST", f"/api/internal/jobs/{quote(jobs[0])}/command", command).status == 503
        assert web.report([update(job, "with a held one") for job in jobs]).status == 503
        go_on(others)
    wait_until(lambda: taken(waiting) > 10)
    crowd.finish()
    expected = {jobs[0]: taken(waiting)}
    expected |= {job: taken(others[2 * number : 2 * number + 2]) for number, job in enumerate(jobs[1:])}
    assert counts(distributed, jobs) == expected


def test_batches_registrations_and_unknown_jobs_are_answered_as_on_one_server(
    distributed: Database, jobs: list[str], web: Web
) -> None:
    """Also right after one another."""
    batch = [update(job, "in a batch") for job in jobs] + [update("nobody's", "x")]
    answers = web.report(batch).json
    assert [answer["status"] for answer in answers] == ["received"] * len(jobs) + [404]
    assert web.report(update("nobody's", "x")).status == 404
    assert web.report(update("", "x")).status == 400
    assert web.report({**update(jobs[0], "y"), "taskId": None}).status == 400
    assert web.register("nobody's").status == 201
    assert web.report(update("nobody's", "x")).json["seq"] == 1
    assert counts(distributed, jobs) == dict.fromkeys(jobs, 1)
