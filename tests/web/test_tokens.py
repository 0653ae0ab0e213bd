"""Who may call, and the header that makes an update count once."""

import json
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tallymark.functions.tokens import create_token
from tallymark.web.auth.guesses import BUDGET, Guesses

if TYPE_CHECKING:
    from tests.web.conftest import Answer, Web

Update = Callable[..., dict[str, object]]


def test_while_tokens_are_rotated_old_and_new_both_work(
    start_web: Callable[..., "Web"], db_url: str, update: Update
) -> None:
    """Each of several tokens is accepted; the whole list, or no token, is not."""
    web = start_web(db_url, CRAWLER_API_TOKEN="old, new,")
    web.call("POST", "/api/internal/jobs", {"taskId": "x"}, token="old")
    assert web.report(update("x"), token="old").status == 200
    assert web.report(update("x"), token="new").status == 200
    for wrong in ("", "old, new,", "old,new", "ol", "oldd", "OLD"):
        assert web.report(update("x"), token=wrong).status == 401, wrong


def test_a_flood_of_wrong_tokens_is_slowed_and_the_right_one_is_not(
    start_web: Callable[..., "Web"], db_url: str, db: psycopg.Connection[Any], update: Update
) -> None:
    """Most of a thousand are answered 429 with Retry-After; a right one is accepted, also one not shown before."""
    web = start_web(db_url)
    assert web.register("j").status == 201
    unused = create_token(db, "unused", ["write"])

    def guess(number: int) -> "Answer":
        token = f"guess{number}" if number % 2 else f"tallymark_{number:064x}"
        return web.report(update("j"), token=token)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(guess, range(1000)))
    first, last = answers[0], answers[-1]
    assert (first.status, first.json["error"], first.headers["www-authenticate"]) == (401, "Unauthorized", "Bearer")
    assert (last.status, last.json["error"]) == (429, "Too many wrong tokens")
    assert 1 <= int(last.headers["retry-after"]) <= 60
    assert last.headers["content-type"] == "application/problem+json"
    assert sum(answer.status == 429 for answer in answers) > 500
    assert web.report(update("j"), token=unused).status == 200
    assert web.report(update("j")).status == 200
    assert guess(0).status == guess(1).status == 429, "it goes on being slow"
    assert web.call("GET", "/api/internal/jobs", token=None).status == 401, "no token is no guess"
    assert "too many wrong tokens from 127.0.0.1" in web.log.read_text()
    assert web.log.read_text().count("too many wrong tokens") == 1


def test_wrong_tokens_count_for_the_address_before_the_proxies(
    start_web: Callable[..., "Web"], db_url: str, update: Update
) -> None:
    """Behind proxies that are trusted each client has a budget of its own, and an IPv6 network has one."""
    web = start_web(db_url, TALLYMARK_TRUSTED_PROXIES="1")

    def guess(address: str) -> int:
        return web.report(update("j"), token="wrong", headers={"X-Forwarded-For": address}).status

    assert {guess("192.0.2.1") for _ in range(BUDGET // 2)} == {401}
    while guess("192.0.2.1") != 429:
        pass
    assert guess("192.0.2.2") == 401
    while guess(f"2001:db8::{secrets.randbelow(2**16):x}") != 429:
        pass
    assert guess("2001:db8::1:2:3:4") == 429
    assert guess("2001:db8:0:1::1") == 401


def test_addresses_are_forgotten_before_they_fill_the_memory() -> None:
    """One that comes back after many others begins again."""
    guesses = Guesses()
    for _ in range(BUDGET):
        assert guesses.count("first") == 0
    assert guesses.count("first") > 0
    for number in range(20_000):
        assert guesses.count(f"other {number}") == 0
    assert len(guesses._spent) == 10_000
    assert guesses.count("first") == 0


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("Bearer crawler-token", 200),
        ("bearer crawler-token", 200),
        ("BEARER   crawler-token", 200),
        ("Basic crawler-token", 401),
        ("crawler-token", 401),
        ("Bearer", 401),
        ("Bearer crawler-token x", 401),
    ],
)
def test_the_scheme_is_bearer_in_any_letter_case(
    web: "Web", job: str, update: Update, authorization: str, status: int
) -> None:
    """RFC 9110 says so for schemes; the token itself is compared exactly."""
    assert web.report(update(job), token=None, headers={"Authorization": authorization}).status == status


@pytest.mark.parametrize("token", [b"\xff\xfe", "tökén".encode(), b"crawler-token\xff"])
def test_a_token_of_any_bytes_is_just_wrong(web: "Web", token: bytes) -> None:
    """401 and no failure, whatever the header contains."""
    request = b"GET /api/internal/jobs/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer %b\r\n\r\n"
    status, answer = web.raw(request % token)
    assert status == 401
    assert b'"error": "Unauthorized"' in answer


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/internal/jobs/progress"),
        ("POST", "/api/internal/jobs"),
        ("GET", "/api/internal/jobs/x"),
        ("GET", "/api/internal/jobs/x/timeline"),
    ],
)
def test_every_call_of_the_api_asks_for_a_token(web: "Web", method: str, path: str) -> None:
    """No path was forgotten."""
    assert web.call(method, path, {} if method == "POST" else None, token=None).status == 401


def test_an_idempotency_key_makes_different_updates_one(web: "Web", job: str, update: Update) -> None:
    """The same key on the same job counts once, and the answer warns that the content was different."""
    key = {"Idempotency-Key": "k-1"}
    first = web.report(update(job, itemsByType={"issues": 2}), headers=key).json
    again = web.report(update(job, itemsByType={"issues": 5}), headers=key).json
    assert (again["duplicate"], again["seq"]) == (True, first["seq"])
    assert again["warnings"]
    assert web.call("GET", f"/api/internal/jobs/{job}").json["progress"]["itemsByType"] == {"issues": 5}


def test_different_idempotency_keys_make_equal_updates_two(web: "Web", job: str, update: Update) -> None:
    """The key overrides the content."""
    for key in ("k-1", "k-2"):
        body = update(job, itemsByType={"issues": 2})
        assert web.report(body, headers={"Idempotency-Key": key}).json["duplicate"] is False
    assert web.call("GET", f"/api/internal/jobs/{job}").json["progress"]["itemsByType"] == {"issues": 7}


@pytest.mark.parametrize("members", [{}, {"updateId": "u-1"}])
@pytest.mark.parametrize("key", [b"", b"x" * 256, b"\xff\xfe"])
def test_a_bad_idempotency_key_is_refused(
    web: "Web", job: str, update: Update, key: bytes, members: dict[str, object]
) -> None:
    """400 with the header's problem; the update is not merged without the key that should protect it."""
    before = web.state(job)
    body = json.dumps(update(job, processedItems=9, **members)).encode()
    status, answer = web.raw(
        b"POST /api/internal/jobs/progress HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer crawler-token\r\n"
        b"Content-Type: application/json\r\nConnection: close\r\nIdempotency-Key: %b\r\nContent-Length: %d\r\n\r\n%b"
        % (key, len(body), body)
    )
    assert status == 400
    assert b'"field": "Idempotency-Key", "problem": ' in answer
    assert web.state(job) == before


def test_an_idempotency_key_may_have_255_characters(web: "Web", job: str, update: Update) -> None:
    """As many as an updateId."""
    assert web.report(update(job), headers={"Idempotency-Key": "k" * 255}).json["duplicate"] is False
