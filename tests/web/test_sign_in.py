"""Signing in with a browser: what a session allows, what it does not, and when an address must wait."""

import re
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import httpx
import psycopg
import pytest
from tests.web.watching import wait_until

from tallymark.functions.tokens import create_token, revoke_token

if TYPE_CHECKING:
    from tests.web.conftest import Web

TOKEN = "crawler-token"
_CSRF_OF_FORM = re.compile(r'data-csrf="([^"]+)"')
_NEXT_OF_FORM = re.compile(r'data-next="([^"]*)"')
_CSRF_OF_PAGE = re.compile(r'"csrf": "([^"]+)"')
_PAGES = ["/", "/job?id=x", "/errors", "/history", "/areas", "/system"]
OpenClient = Callable[..., httpx.Client]


@pytest.fixture
def open_client() -> Iterator[OpenClient]:
    """Opens clients that keep cookies, as browsers do."""
    opened: list[httpx.Client] = []

    def open_one(web: "Web", **headers: str) -> httpx.Client:
        opened.append(httpx.Client(base_url=f"http://127.0.0.1:{web.port}", timeout=30, headers=headers))
        return opened[-1]

    yield open_one
    for client in opened:
        client.close()


@pytest.fixture
def own(start_web: Callable[..., "Web"], db_url: str) -> "Web":
    """A server for one test: failed sign-ins are counted by address, and all tests share one address."""
    return start_web(db_url, TALLYMARK_TOKEN_CACHE_SECONDS="0.2")


def sign_in(client: httpx.Client, token: str = TOKEN) -> httpx.Response:
    """Fill in the form, and send it like its script."""
    [csrf] = _CSRF_OF_FORM.findall(client.get("/sign-in").text)
    return client.post("/sign-in", headers={"Authorization": f"Bearer {token}", "X-CSRF-Token": csrf})


@pytest.mark.parametrize("path", _PAGES)
def test_nobody_sees_a_page_who_has_not_signed_in(web: "Web", open_client: OpenClient, path: str) -> None:
    """A visitor is sent to sign in, and from there to the page; no data is sent before that."""
    answer = open_client(web).get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in")
    if path != "/":
        form = open_client(web).get(answer.headers["location"])
        assert _NEXT_OF_FORM.findall(form.text) == [path]


def test_whoever_signed_in_sees_the_pages_and_reads_the_api(own: "Web", open_client: OpenClient) -> None:
    """With the same cookie, which neither scripts nor other sites can use."""
    client = open_client(own)
    answer = sign_in(client)
    assert answer.status_code == 204
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(answer.headers["set-cookie"].split("; "))
    for path in _PAGES:
        page = client.get(path)
        assert page.status_code == 200
        assert 'id="boot"' in page.text
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert page.headers["cache-control"] == "no-store"
    own.register("j")
    assert client.get("/api/internal/jobs/j").json()["id"] == "j"


def test_a_session_reports_nothing(
    own: "Web", open_client: OpenClient, update: Callable[..., dict[str, object]]
) -> None:
    """A cookie is for reading and for the buttons; reports need a token."""
    own.register("j")
    client = open_client(own)
    sign_in(client)
    [csrf] = _CSRF_OF_PAGE.findall(client.get("/").text)
    answer = client.post("/api/internal/jobs/progress", json=update("j"), headers={"X-CSRF-Token": csrf})
    assert answer.status_code == 403
    assert own.call("GET", "/api/internal/jobs/j").json["lastSeq"] == 0


def test_what_another_site_has_the_browser_send_is_refused(own: "Web", open_client: OpenClient) -> None:
    """A command needs the page's token, which belongs to the session."""
    own.register("j")
    client, other = open_client(own), open_client(own)
    sign_in(client)
    sign_in(other)
    [csrf] = _CSRF_OF_PAGE.findall(client.get("/").text)
    [foreign] = _CSRF_OF_PAGE.findall(other.get("/").text)
    path, body = "/api/internal/jobs/j/command", {"command": "pause"}
    for headers in ({}, {"X-CSRF-Token": ""}, {"X-CSRF-Token": "x"}, {"X-CSRF-Token": foreign}):
        refused = client.post(path, json=body, headers=headers)
        assert refused.status_code == 403, headers
        assert refused.headers["content-type"] == "application/problem+json"
    assert client.get("/api/internal/jobs/j").json()["command"] is None
    assert client.post(path, json=body, headers={"X-CSRF-Token": csrf}).json()["command"] == "pause"


def test_signing_out_ends_it(own: "Web", open_client: OpenClient) -> None:
    """For this browser. A sign-out that another site triggers has no effect."""
    client = open_client(own)
    sign_in(client)
    [csrf] = _CSRF_OF_PAGE.findall(client.get("/").text)
    assert client.post("/sign-out", headers={"X-CSRF-Token": "x"}).status_code == 403
    assert client.get("/").status_code == 200
    assert client.post("/sign-out", headers={"X-CSRF-Token": csrf}).status_code == 204
    assert client.get("/").status_code == 303
    assert client.get("/api/internal/jobs").status_code == 401


def _copy(web: "Web", client: httpx.Client, open_client: OpenClient) -> httpx.Client:
    """Return another browser that has the cookie of a session."""
    return open_client(web, Cookie=f"tallymark_session={client.cookies['tallymark_session']}")


def sign_out(client: httpx.Client) -> httpx.Response:
    """Sign out like the page's script."""
    [csrf] = _CSRF_OF_PAGE.findall(client.get("/").text)
    return client.post("/sign-out", headers={"X-CSRF-Token": csrf})


@pytest.mark.parametrize("stored", [False, True])
def test_a_copied_cookie_ends_with_its_session(
    start_web: Callable[..., "Web"], db_url: str, db: psycopg.Connection, open_client: OpenClient, stored: bool
) -> None:
    """In all workers, in other servers with the same key, and in a server that starts later; a stream ends, too."""
    settings = {"TALLYMARK_SECRET_KEY": "one key of many", "TALLYMARK_TOKEN_CACHE_SECONDS": "0.2"}
    own, other = start_web(db_url, TALLYMARK_WORKERS="2", **settings), start_web(db_url, **settings)
    token = create_token(db, "operator", ["read"]) if stored else TOKEN
    client, second = open_client(own), open_client(own)
    assert sign_in(client, token).status_code == sign_in(second, token).status_code == 204
    copies = [_copy(web, client, open_client) for web in (own, own, own, own, other)]
    assert {copy.get("/api/internal/overview").status_code for copy in copies} == {200}
    with copies[-1].stream("GET", "/events", headers={"Accept": "text/event-stream"}) as stream:
        assert stream.status_code == 200
        assert sign_out(client).status_code == 204
        assert list(stream.iter_bytes())[-1]  # it ends, and not after an hour
    wait_until(lambda: {copy.get("/api/internal/overview").status_code for copy in copies} == {401})
    assert {copy.get("/").status_code for copy in copies} == {303}
    late = start_web(db_url, **settings)
    assert _copy(late, second, open_client).get("/").status_code == 200
    assert open_client(late, Cookie=copies[0].headers["Cookie"]).get("/").status_code == 303
    assert second.get("/").status_code == 200, "another session of the same token goes on"
    assert sign_in(client, token).status_code == 204
    assert client.get("/").status_code == 200


def test_signing_out_works_while_the_database_is_away(
    own: "Web", open_client: OpenClient, db: psycopg.Connection
) -> None:
    """At once in this process; the database is told when it is back."""
    client = open_client(own)
    sign_in(client)
    [csrf] = _CSRF_OF_PAGE.findall(client.get("/").text)
    copy = _copy(own, client, open_client)
    db.execute("ALTER TABLE tallymark.ended_session RENAME TO elsewhere")
    db.execute("ALTER FUNCTION tallymark.end_session(bytea, integer) RENAME TO elsewhere")
    # Longer than an answer of the database is used.
    until = time.monotonic() + 1
    while time.monotonic() < until:
        assert copy.get("/").status_code == 200, "nobody is sent away because of it"
    assert client.post("/sign-out", headers={"X-CSRF-Token": csrf}).status_code == 204
    assert copy.get("/").status_code == 303
    db.execute("ALTER TABLE tallymark.elsewhere RENAME TO ended_session")
    db.execute("ALTER FUNCTION tallymark.elsewhere(bytea, integer) RENAME TO end_session")
    wait_until(lambda: db.execute("SELECT count(*) FROM tallymark.ended_session").fetchone() == (1,))


def test_a_session_is_what_its_token_is(own: "Web", open_client: OpenClient, db: psycopg.Connection) -> None:
    """It has the token's scopes and jobs, and ends when the token is revoked."""
    for job_id in ("a1", "b1"):
        own.register(job_id)
    token = create_token(db, "operator", ["read"], job_prefix="a")
    client = open_client(own)
    assert sign_in(client, token).status_code == 204
    [csrf] = _CSRF_OF_PAGE.findall(client.get("/").text)
    assert [job["id"] for job in client.get("/api/internal/overview").json()["jobs"]] == ["a1"]
    assert client.get("/api/internal/jobs/b1").status_code == 403
    command = client.post("/api/internal/jobs/a1/command", json={"command": "pause"}, headers={"X-CSRF-Token": csrf})
    assert command.status_code == 403
    assert '"b1"' not in client.get("/").text
    revoke_token(db, "operator")
    wait_until(lambda: client.get("/").status_code != 200)
    assert client.get("/api/internal/overview").status_code == 401


def test_a_token_that_only_writes_opens_no_page(own: "Web", open_client: OpenClient, db: psycopg.Connection) -> None:
    """The message names the missing scope."""
    answer = sign_in(open_client(own), create_token(db, "crawler", ["write"]))
    assert answer.status_code == 403
    assert "lacks the scope read" in answer.text


def test_who_fails_too_often_waits(own: "Web", open_client: OpenClient, db: psycopg.Connection) -> None:
    """For the time that is shown, whatever wrong token is tried; then one more is looked at."""
    client = open_client(own)
    answers = [sign_in(client, f"wrong{number}").status_code for number in range(8)]
    assert answers[:6] == [401] * 6
    assert answers[-1] == 429
    refused = sign_in(client, "wrong")
    assert (refused.status_code, refused.json()["error"]) == (429, "Too many wrong tokens")
    assert 0 < int(refused.headers["retry-after"]) <= 60
    db.execute("UPDATE tallymark.sign_in SET last_failed_at = last_failed_at - interval '61 s'")
    assert [sign_in(client, "wrong").status_code for _ in range(2)] == [401, 429]


def test_the_right_token_signs_in_however_many_were_wrong(
    own: "Web", open_client: OpenClient, db: psycopg.Connection
) -> None:
    """Everybody behind a proxy may have one address, and somebody who guesses keeps nobody out."""
    guesser = open_client(own)
    while sign_in(guesser, "wrong").status_code != 429:
        pass
    assert sign_in(open_client(own)).status_code == 204
    stored = create_token(db, "operator", ["read"])
    assert sign_in(open_client(own), stored).status_code == 204
    assert sign_in(guesser, "wrong").status_code == 429
    assert sign_in(guesser).status_code == 204


def test_proxies_are_believed_where_there_are_some(
    start_web: Callable[..., "Web"], db_url: str, open_client: OpenClient
) -> None:
    """The address before them must wait; over TLS the cookie stays on TLS."""
    web = start_web(db_url, TALLYMARK_TRUSTED_PROXIES="1")
    secure = open_client(web, **{"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https"})
    assert "Secure" in secure.get("/sign-in").headers["set-cookie"]
    # Without TLS the client does not send the cookie back, so the form is not recognised.
    assert sign_in(secure).status_code == 403
    plain = open_client(web, **{"X-Forwarded-For": "192.0.2.1"})
    for number in range(8):
        last = sign_in(plain, f"wrong{number}")
    assert last.status_code == 429
    assert sign_in(open_client(web, **{"X-Forwarded-For": "192.0.2.2"})).status_code == 204


def test_a_proxy_that_asks_for_a_password_is_not_in_the_way(own: "Web", open_client: OpenClient) -> None:
    """Browsers then send its header with every request; only a header with a token overrides the cookie."""
    client = open_client(own, Authorization="Basic dXNlcjpwYXNz")
    assert sign_in(client).status_code == 204
    assert client.get("/").status_code == 200
    assert client.get("/api/internal/jobs").status_code == 200
    assert client.get("/api/internal/jobs", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert open_client(own, Authorization="Bearer x").get("/sign-in").status_code == 200


def test_in_ipv6_a_whole_network_waits(start_web: Callable[..., "Web"], db_url: str, open_client: OpenClient) -> None:
    """One client there has as many addresses as it likes."""
    web = start_web(db_url, TALLYMARK_TRUSTED_PROXIES="1")
    answers = [
        sign_in(open_client(web, **{"X-Forwarded-For": f"2001:db8::{number:x}"}), "wrong").status_code
        for number in range(8)
    ]
    assert answers[-1] == 429
    assert sign_in(open_client(web, **{"X-Forwarded-For": "2001:db8:0:1::1"}), "wrong").status_code == 401


def test_nobody_unknown_can_hold_the_server_up_with_half_a_request(own: "Web") -> None:
    """The server does not wait for the body of an unknown client."""
    half = b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
    with ExitStack() as held:
        for path in (b"/sign-in", b"/sign-out", b"/api/internal/jobs/x/command", b"/api/internal/jobs/progress"):
            for _ in range(40):
                unknown = held.enter_context(socket.create_connection(("127.0.0.1", own.port), timeout=10))
                unknown.sendall(half % path)
        assert own.call("GET", "/healthz").status == 200
        assert own.register("j").status == 201


def test_many_attempts_at_once_are_taken_one_after_the_other(own: "Web", open_client: OpenClient) -> None:
    """So no more of them are answered than if they had come one by one."""
    client = open_client(own)
    while sign_in(client, "wrong").status_code != 429:
        pass
    with psycopg.connect(own.database_url, autocommit=True) as db:
        db.execute("UPDATE tallymark.sign_in SET last_failed_at = last_failed_at - interval '61 s'")
    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda _: sign_in(open_client(own), "wrong").status_code, range(24)))
    assert sorted(answers) == [401] + [429] * 23


def test_a_key_that_can_be_guessed_is_refused(start_web: Callable[..., "Web"], db_url: str) -> None:
    """The server does not start, and says why."""
    with pytest.raises(AssertionError, match="TALLYMARK_SECRET_KEY must have at least"):
        start_web(db_url, TALLYMARK_SECRET_KEY="short")


@pytest.mark.parametrize("goal", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_signing_in_leads_to_no_other_site(web: "Web", open_client: OpenClient, goal: str) -> None:
    """Whatever address the link had."""
    form = open_client(web).get("/sign-in", params={"next": goal})
    assert _NEXT_OF_FORM.findall(form.text) == ["/"]


def test_a_forged_cookie_opens_nothing(start_web: Callable[..., "Web"], db_url: str, open_client: OpenClient) -> None:
    """Neither a changed one, nor one signed with another key, nor one whose token is no longer configured."""
    web = start_web(db_url, TALLYMARK_SECRET_KEY="one key of many")
    client = open_client(web)
    sign_in(client)
    cookie = client.cookies["tallymark_session"]
    assert open_client(web, Cookie=f"tallymark_session={cookie}").get("/").status_code == 200
    assert open_client(web, Cookie=f"tallymark_session=x{cookie}").get("/").status_code == 303
    assert open_client(web, Cookie="tallymark_session=").get("/").status_code == 303
    other = start_web(db_url, TALLYMARK_SECRET_KEY="another key...")
    assert open_client(other, Cookie=f"tallymark_session={cookie}").get("/").status_code == 303
    rotated = start_web(db_url, TALLYMARK_SECRET_KEY="one key of many", CRAWLER_API_TOKEN="another")
    assert open_client(rotated, Cookie=f"tallymark_session={cookie}").get("/").status_code == 303


def test_workers_of_one_server_know_each_others_sessions(
    start_web: Callable[..., "Web"], db_url: str, open_client: OpenClient
) -> None:
    """Even if no key is set."""
    web = start_web(db_url, TALLYMARK_WORKERS="2")
    client = open_client(web)
    sign_in(client)
    cookie = client.cookies["tallymark_session"]
    # Each connection may reach another worker.
    assert {open_client(web, Cookie=f"tallymark_session={cookie}").get("/").status_code for _ in range(20)} == {200}


def test_what_pages_are_made_of_is_small_and_is_kept_by_browsers(web: "Web", open_client: OpenClient) -> None:
    """Under 300 KB in all without compression, under names that change with the content."""
    client = open_client(web)
    sign_in(client)
    page = client.get("/")
    size = len(page.content)
    addresses = re.findall(r'(?:src|href)="(/assets/[^"]+)"', page.text)
    assert len(addresses) == 3
    addresses += re.findall(r'(?:src|href)="(/assets/sign_in[^"]+)"', client.get("/sign-in").text)
    for address in addresses:
        asset = client.get(address, headers={"Accept-Encoding": "identity"})
        packed = client.get(address, headers={"Accept-Encoding": "gzip"})
        assert "immutable" in asset.headers["cache-control"]
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.content == asset.content
        size += len(asset.content)
    assert size < 300_000
    assert client.get("/assets/manifest.json").status_code == 404
    assert client.get("/assets/..%2f..%2fauth.py").status_code == 404
