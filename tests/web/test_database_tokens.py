"""Tokens of the database: what each allows, for which jobs, and for how long."""

import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tallymark.functions.tokens import create_token, revoke_token
from tallymark.server.ports import some_free_port
from tallymark.settings import Settings
from tallymark.web.auth.tokens import Tokens
from tallymark.web.db.pool import Database
from tallymark.web.http.answers import Problem

if TYPE_CHECKING:
    from tests.web.conftest import Web

Connection = psycopg.Connection[Any]
Update = Callable[..., dict[str, object]]

#: Longer than any test.
_LONG = "3600"


def _unknown() -> str:
    """Return a well-formed token that does not exist."""
    return f"tallymark_{secrets.token_hex(32)}"


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("POST", "/api/internal/jobs/progress", "write"),
        ("POST", "/api/internal/jobs", "write"),
        ("GET", "/api/internal/jobs/j", "read"),
        ("GET", "/api/internal/jobs/j/timeline", "read"),
        ("GET", "/api/internal/jobs", "read"),
        ("POST", "/api/internal/jobs/j/command", "admin"),
    ],
)
def test_a_token_opens_what_its_scopes_say(
    start_web: Callable[..., "Web"], db_url: str, db: Connection, update: Update, method: str, path: str, scope: str
) -> None:
    """403 for another scope. `admin` implies the others. A configured token has all of them."""
    web = start_web(db_url)
    web.register("j")
    body = {**update("j"), "command": "pause"} if method == "POST" else None
    for given in (["write"], ["read"], ["admin"], ["write", "read"]):
        answer = web.call(method, path, body, token=create_token(db, " ".join(given), given))
        if scope in given or "admin" in given:
            assert answer.status == 200, (given, answer.body)
        else:
            assert (answer.status, answer.json["error"]) == (403, "Forbidden"), given
            assert answer.headers["www-authenticate"] == f'Bearer error="insufficient_scope", scope="{scope}"'
    assert web.call(method, path, body).status == 200


def test_a_token_with_a_prefix_is_for_its_own_jobs(
    start_web: Callable[..., "Web"], db_url: str, db: Connection, update: Update
) -> None:
    """403 for all others, whether they exist or not; nothing of them is shown or changed."""
    web = start_web(db_url)
    token = create_token(db, "a", ["admin"], job_prefix="a_")
    for job in ("a_1", "b_1"):
        web.register(job)
    before = web.state("b_1")
    for job, status in (("a_1", 200), ("b_1", 403), ("b_2", 403), ("a", 403), ("A_1", 403)):
        calls = [
            web.report(update(job), token=token),
            web.call("POST", "/api/internal/jobs", {"taskId": job}, token=token),
            web.call("GET", f"/api/internal/jobs/{job}", token=token),
            web.call("GET", f"/api/internal/jobs/{job}/timeline", token=token),
            web.call("POST", f"/api/internal/jobs/{job}/command", {"command": "pause"}, token=token),
            web.call("POST", f"/api/internal/jobs/{job}/unseen", {"type": "t", "keys": []}, token=token),
        ]
        assert [answer.status for answer in calls] == [status] * 6, job
        assert status == 200 or {answer.json["error"] for answer in calls} == {"Forbidden"}
    listed = web.call("GET", "/api/internal/jobs", token=token).json["jobs"]
    assert [listed_job["id"] for listed_job in listed] == ["a_1"]
    assert web.state("b_1") == before
    assert db.execute("SELECT count(*) FROM tallymark.job").fetchone() == (2,)


def test_a_token_with_a_prefix_reads_nothing_that_other_jobs_said(
    start_web: Callable[..., "Web"], db_url: str, db: Connection, update: Update
) -> None:
    """For an area that its job shares with another, it gets only what its own job reported."""
    web = start_web(db_url)
    token = create_token(db, "a", ["read"], job_prefix="a_")
    for job, name in (("a_1", "Mine"), ("b_1", "Theirs")):
        web.register(job)
        web.report(update(job, areas=[{"fullPath": "g", "type": "group", "name": name, "parentPath": f"of {name}"}]))
    web.report(update("b_1", error="theirs"))
    for path in ("jobs/a_1/areas", "areas"):
        [area] = web.call("GET", f"/api/internal/{path}", token=token).json["areas"]
        assert (area["name"], area["parent"], area["jobs"]) == ("Mine", "of Mine", 1), path
    assert web.call("GET", "/api/internal/errors", token=token).json["errors"] == []
    assert web.call("GET", "/api/internal/jobs/b_1/areas", token=token).status == 403


def test_a_revoked_token_is_let_in_no_longer_than_it_is_remembered(
    start_web: Callable[..., "Web"], db_url: str, db: Connection, update: Update
) -> None:
    """TALLYMARK_TOKEN_CACHE_SECONDS after its revocation it is refused, even if it is used all the time."""
    web = start_web(db_url, TALLYMARK_TOKEN_CACHE_SECONDS="0.5")
    web.register("j")
    token = create_token(db, "t", ["write"])
    assert web.report(update("j"), token=token).status == 200
    revoke_token(db, "t")
    revoked = sent = time.monotonic()
    while web.report(update("j"), token=token).status == 200:
        assert sent - revoked < 0.5, "what was sent later than that is refused"
        sent = time.monotonic()
    answer = web.report(update("j"), token=token)
    assert (answer.status, answer.json["error"]) == (401, "Unauthorized")


def test_a_token_is_remembered_until_it_expires(
    start_web: Callable[..., "Web"], db_url: str, db: Connection, update: Update
) -> None:
    """The database is not asked again, but an expired token is refused however long tokens are remembered."""
    web = start_web(db_url, TALLYMARK_TOKEN_CACHE_SECONDS=_LONG)
    web.register("j")
    lasting = create_token(db, "lasting", ["write"])
    assert web.report(update("j"), token=lasting).status == 200
    # On a busy machine the first one may expire before it is used.
    for seconds in (2, 8, 32):
        expires = datetime.now(UTC) + timedelta(seconds=seconds)
        ending = create_token(db, f"ending after {seconds} s", ["write"], expires_at=expires)
        if web.report(update("j"), token=ending).status == 200:
            break
    revoke_token(db, "lasting")
    sent = datetime.now(UTC)
    while (answer := web.report(update("j"), token=ending)).status == 200:
        assert sent < expires, "what was sent later than that is refused"
        sent = datetime.now(UTC)
    assert answer.status == 401
    assert datetime.now(UTC) >= expires
    assert web.report(update("j"), token=lasting).status == 200


def test_tokens_of_the_database_are_enough(
    start_web: Callable[..., "Web"], db_url: str, db: Connection, update: Update
) -> None:
    """Without CRAWLER_API_TOKEN the endpoint is disabled until the first token is made; no restart is needed."""
    web = start_web(db_url, CRAWLER_API_TOKEN="")
    assert web.report(update("j"), token=None).json["error"] == "Endpoint disabled due to missing configuration"
    token = create_token(db, "first", ["write"])
    assert web.report(update("j"), token=token).status == 404
    time.sleep(1)
    for wrong in (None, "", "wrong", _unknown()):
        assert web.report(update("j"), token=wrong).status == 401
    revoke_token(db, "first")
    assert web.report(update("j"), token=_unknown()).status == 401


@pytest.mark.parametrize("configured", ["crawler-token", ""])
def test_without_the_database_nobody_is_told_that_a_token_is_wrong(
    start_web: Callable[..., "Web"], update: Update, configured: str
) -> None:
    """503 with Retry-After, so that crawlers come back; after a 401 they would give up."""
    web = start_web(
        f"postgresql://u@127.0.0.1:{some_free_port('127.0.0.1')}/x",
        CRAWLER_API_TOKEN=configured,
    )
    for token in (_unknown(), "not-ours"):
        answer = web.report(update("j"), token=token)
        assert (answer.status, answer.json["error"]) == (503, "Database unavailable")
        assert int(answer.headers["retry-after"]) >= 1
    # If a token is configured, a request without one is wrong whatever the database knows.
    assert web.report(update("j"), token=None).status == (401 if configured else 503)


def test_no_token_gets_into_the_log(
    start_web: Callable[..., "Web"], db_url: str, db: Connection, update: Update
) -> None:
    """Neither valid nor invalid tokens nor their digests, at any level, even if the database fails."""
    web = start_web(db_url, TALLYMARK_LOG_LEVEL="debug", TALLYMARK_TOKEN_CACHE_SECONDS="0.001")
    shown = [create_token(db, "right", ["write"]), create_token(db, "revoked", ["admin"]), _unknown(), "crawler-token"]
    revoke_token(db, "revoked")
    statuses = [web.report(update("j"), token=token).status for token in shown]
    db.execute("ALTER TABLE tallymark.api_token RENAME TO gone")
    statuses += [web.report(update("j"), token=token).status for token in shown]
    assert statuses == [404, 401, 401, 404, 503, 503, 503, 404]
    log = web.log.read_text()
    assert "42P01" in log
    for token in shown:
        assert token not in log
        assert sha256(token.encode()).hexdigest() not in log


def test_a_flood_of_wrong_tokens_fills_no_memory(db_url: str, db: Connection) -> None:
    """At most a thousand are remembered. A valid one stays, and malformed ones are not looked up."""
    database = Database(db_url, Settings())
    tokens = Tokens([], database, cache_seconds=float(_LONG))
    right = create_token(db, "right", ["write"])
    try:
        tokens.identify(f"Bearer {right}")
        for _ in range(1500):
            with pytest.raises(Problem, match="Unauthorized"):
                tokens.identify(f"Bearer {_unknown()}")
        assert len(tokens._stored._wrong._known) == 1000
        for number in range(100):
            with pytest.raises(Problem, match="Unauthorized"):
                tokens.identify(f"Bearer tallymark_{number}")
        assert len(tokens._stored._wrong._known) == 1000
    finally:
        database.close()
    # A query would now raise an exception.
    revoke_token(db, "right")
    assert tokens.identify(f"Bearer {right}").name == "right"


def test_a_caller_is_known_by_what_the_token_says(db_url: str, db: Connection) -> None:
    """A view gets the token's name, scopes and prefix."""
    database = Database(db_url, Settings())
    tokens = Tokens(["configured"], database)
    token = create_token(db, "ours", ["admin"], job_prefix="größe_")
    try:
        who = tokens.identify(f"Bearer {token}")
    finally:
        database.close()
    assert (who.name, who.job_prefix, who.sql_prefix) == ("ours", "größe_", "größe_".encode())
    assert who.scopes == {"write", "read", "admin"}
    who.check_job("größe_1")
    with pytest.raises(Problem, match="Forbidden"):
        who.check_job("grösse_1")
    configured = tokens.identify("Bearer configured")
    assert (configured.name, configured.job_prefix, configured.sql_prefix) == ("", "", None)
    configured.check_job("any")
