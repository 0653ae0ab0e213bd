"""Signs of life over HTTP, and how a job is that does not report."""

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import quote

import psycopg
import pytest

from tallymark import functions

if TYPE_CHECKING:
    from tests.web.conftest import Web

Update = Callable[..., dict[str, object]]

JOBS = "/api/internal/jobs"


def alive_at(web: "Web", job: str) -> str | None:
    """Return when the last sign of life of a job came."""
    found: str | None = web.call("GET", f"{JOBS}/{quote(job, safe='')}/liveness").json["aliveAt"]
    return found


@pytest.mark.parametrize("body", [None, {}, {"workerId": "w1"}, {"workerId": None}, {"more": 1}])
def test_a_sign_of_life_is_noted_and_appends_nothing(web: "Web", job: str, body: object) -> None:
    """With a worker or without a body; the job's document stays the same to the byte, and so does its tag."""
    before = web.call("GET", f"{JOBS}/{job}")
    answer = web.call("POST", f"{JOBS}/{job}/alive", body)
    assert (answer.status, answer.json) == (200, {"command": None})
    after = web.call("GET", f"{JOBS}/{job}")
    assert (after.body, after.headers["etag"]) == (before.body, before.headers["etag"])
    assert alive_at(web, job)
    assert web.call("GET", f"{JOBS}/{job}/verify").json["verified"]


def test_a_crawler_with_nothing_to_report_hears_commands(web: "Web", job: str) -> None:
    """The answer carries the command until it is obeyed."""
    path = f"{JOBS}/{job}/alive"
    for command in ("pause", "cancel"):
        assert web.call("POST", f"{JOBS}/{job}/command", {"command": command}).status == 200
        assert web.call("POST", path).json == {"command": command}
        assert web.call("POST", path).json == {"command": command}


@pytest.mark.parametrize("job_id", ["a/b", "..", "x/alive", "äöü ✓", "%2F", "progress"])
def test_the_job_may_have_any_id(web: "Web", job_id: str) -> None:
    """As in all other addresses."""
    assert web.register(job_id).status in {200, 201}
    assert web.call("POST", f"{JOBS}/{quote(job_id, safe='')}/alive").json == {"command": None}
    assert alive_at(web, job_id)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("[]", "Invalid request body"),
        ("{", "Invalid request body"),
        ('"w1"', "Invalid request body"),
        ('{"workerId": 7}', "Invalid sign of life"),
        ('{"workerId": ""}', "Invalid sign of life"),
        (f'{{"workerId": "{"w" * 101}"}}', "Invalid sign of life"),
    ],
)
def test_what_is_no_sign_of_life_is_refused(web: "Web", job: str, body: str, error: str) -> None:
    """400, and the next one is taken."""
    answer = web.call("POST", f"{JOBS}/{job}/alive", body)
    assert (answer.status, answer.json["error"]) == (400, error)
    assert web.call("POST", f"{JOBS}/{job}/alive").status == 200


def test_an_unknown_job_is_not_found(web: "Web") -> None:
    """404, also for an id that no job can have."""
    for job_id in ("nobody", "%00", "x" * 300):
        answer = web.call("POST", f"{JOBS}/{job_id}/alive")
        assert answer.status == (400 if len(job_id) == 300 else 404), job_id


def test_a_token_gives_signs_for_its_own_jobs_only(
    db: psycopg.Connection[object], start_web: Callable[..., "Web"], db_url: str
) -> None:
    """403 for the jobs of others, and for a token that may only read; 401 without one."""
    functions.create_job(db, "a_1")
    functions.create_job(db, "b_1")
    ours = start_web(db_url)
    writes = functions.create_token(db, "writes", ["write"], job_prefix="a_")
    reads = functions.create_token(db, "reads", ["read"])
    assert ours.call("POST", f"{JOBS}/a_1/alive", token=writes).status == 200
    assert ours.call("POST", f"{JOBS}/b_1/alive", token=writes).status == 403
    assert ours.call("POST", f"{JOBS}/a_1/alive", token=reads).status == 403
    assert ours.call("POST", f"{JOBS}/a_1/alive", token=None).status == 401


def test_a_sign_of_life_waits_for_no_job_that_is_held(web: "Web", job: str) -> None:
    """It is answered while another transaction holds the job, with the command; the next one is noted."""
    assert web.call("POST", f"{JOBS}/{job}/command", {"command": "pause"}).status == 200
    with psycopg.connect(web.database_url) as holder:
        holder.execute("SELECT FROM tallymark.job WHERE id = %s FOR UPDATE", [job])
        for _ in range(20):
            assert web.call("POST", f"{JOBS}/{job}/alive").json == {"command": "pause"}
        assert alive_at(web, job) is None
    assert web.call("POST", f"{JOBS}/{job}/alive").status == 200
    assert alive_at(web, job)


def test_signs_of_life_within_a_second_change_nothing(web: "Web", job: str) -> None:
    """Only the first one is written."""
    with psycopg.connect(web.database_url, autocommit=True) as db:
        web.call("POST", f"{JOBS}/{job}/alive")
        db.execute("UPDATE tallymark.job SET alive_at = now() + interval '1 hour' WHERE id = %s", [job])
        before = alive_at(web, job)
        web.call("POST", f"{JOBS}/{job}/alive")
        assert alive_at(web, job) == before


def test_a_job_says_that_it_waits(web: "Web", job: str, update: Update) -> None:
    """Until when and for what, in its document, its timeline and the overview; `processing` ends it."""
    wait = {"waitUntil": "2099-01-06T19:15:30.000Z", "reason": "rate limit"}
    assert web.report(update(job, status="waiting", timestamp="2025-01-06T19:16:00Z", **wait)).status == 200
    found = web.call("GET", f"{JOBS}/{job}").json
    assert (found["status"], found["wait"]) == ("waiting", {"until": wait["waitUntil"], "reason": "rate limit"})
    assert wait.items() <= found["progress"]["timeline"][-1]["details"].items()
    liveness = web.call("GET", f"{JOBS}/{job}/liveness").json
    assert (liveness["state"], liveness["waitUntil"], liveness["reason"]) == ("waiting", *wait.values())
    rows = web.call("GET", f"/api/internal/overview?q={job}").json["jobs"]
    assert [row["wait"] for row in rows] == [found["wait"]]
    assert web.call("GET", "/api/internal/jobs?status=waiting&limit=1000").json["jobs"]
    assert web.report(update(job, timestamp="2025-01-06T19:18:00Z")).status == 200
    found = web.call("GET", f"{JOBS}/{job}").json
    assert (found["status"], "wait" in found) == ("running", False)
    waited = web.call("GET", f"{JOBS}/{job}/liveness").json["waited"]
    assert (waited["seconds"], waited["reasons"][0]["reason"], waited["reasons"][0]["waits"]) == (120, "rate limit", 1)


@pytest.mark.parametrize(("member", "value"), [("waitUntil", "soon"), ("waitUntil", 5), ("reason", "x" * 101)])
def test_a_wait_that_is_not_valid_is_refused(web: "Web", job: str, update: Update, member: str, value: object) -> None:
    """400 with the field; with another status the same member is a field of the crawler's own."""
    answer = web.report(update(job, status="waiting", **{member: value}))
    assert (answer.status, [detail["field"] for detail in answer.json["details"]]) == (400, [member])
    assert web.report(update(job, status="paused", **{member: value})).status == 200


def test_a_job_that_was_never_reported_needs_attention_after_a_time_that_can_be_set(
    db: psycopg.Connection[object], start_web: Callable[..., "Web"], db_url: str
) -> None:
    """After an hour; TALLYMARK_NEVER_REPORTED_AFTER sets another time, and 0 never."""
    job_id = f"job_{secrets.token_hex(8)}"
    functions.create_job(db, job_id)
    db.execute("UPDATE tallymark.job SET created_at = now() - interval '10 minutes'")
    db.commit()
    for setting, found in (({}, []), ({"TALLYMARK_NEVER_REPORTED_AFTER": "60"}, [job_id])):
        web = start_web(db_url, **setting)
        stalled = web.call("GET", "/api/internal/stalled").json["jobs"]
        assert [(job["id"], job["state"]) for job in stalled] == [(job, "never_reported") for job in found]
        [message] = [
            message
            for message in web.call("GET", "/events", headers={"Accept": "application/json"}).json["messages"]
            if message["event"] == "totals"
        ]
        assert [job["id"] for job in message["data"]["stalled"]] == found
        assert (
            f'tallymark_silent_jobs{{state="never_reported"}} {len(found)}.0'
            in web.call("GET", "/metrics").body.decode()
        )
    db.execute("UPDATE tallymark.job SET created_at = now() - interval '10 hours'")
    db.commit()
    web = start_web(db_url, TALLYMARK_NEVER_REPORTED_AFTER="0")
    assert web.call("GET", "/api/internal/stalled").json["jobs"] == []
