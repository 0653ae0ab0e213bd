"""A server that is away, busy, or refuses: nothing is raised, nothing is lost, nothing is sent needlessly."""

import json
import logging
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from tests.web.conftest import TOKEN, Web

from tallymark import DeliveryError
from tallymark.client.progress import Progress
from tallymark.client.transport import HttpTransport
from tallymark.client.updates import prepare
from tallymark.server.ports import some_free_port
from tallymark.simulate.chaos import ChaosTransport, Mischief

if TYPE_CHECKING:
    from tests.client.conftest import Look, Make

#: An answer of the stub; the times at which requests came, in seconds.
Asked = list[float]


class Stub:
    """A small HTTP server that gives prepared answers in turn, and the last one again and again."""

    def __init__(self, *answers: tuple[int, dict[str, str], object]) -> None:
        """Start it."""
        asked: Asked = []
        self.asked = asked
        left = list(answers)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                asked.append(time.monotonic())
                status, headers, body = left.pop(0) if len(left) > 1 else left[0]
                if status == 200 and body is None:
                    body = [_ack(one) for one in sent] if isinstance(sent, list) else _ack(sent)
                data = json.dumps(body).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(data))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Stop it."""
        self._server.shutdown()
        self._server.server_close()


def _ack(update: dict[str, Any]) -> dict[str, Any]:
    resume: dict[str, Any] = {"lastProcessedId": None, "resumeState": None, "itemsByType": {}, "processedItems": 0}
    started = {"resume": resume, "newestTimestamp": None} if update.get("status") == "started" else {}
    return {"status": "received", "seq": 1, "duplicate": False, "warnings": [], "command": None, **started}


OK: tuple[int, dict[str, str], object] = (200, {}, None)


def problem(status: int, error: str, **headers: str) -> tuple[int, dict[str, str], object]:
    """Return an answer as the endpoint gives it."""
    return status, headers, {"type": "about:blank", "status": status, "title": error, "error": error}


@pytest.fixture
def stub() -> Iterator[Callable[..., Stub]]:
    """Start such servers."""
    started: list[Stub] = []

    def start(*answers: tuple[int, dict[str, str], object]) -> Stub:
        started.append(Stub(*answers))
        return started[-1]

    yield start
    for one in started:
        one.stop()


def test_a_busy_server_is_asked_again_after_the_time_it_asks_for(
    make_client: "Make", stub: Callable[..., Stub]
) -> None:
    """503 with Retry-After, then 200."""
    busy = stub(problem(503, "Unavailable", **{"Retry-After": "2"}), OK)
    with make_client(busy.port).job("j") as job:
        assert job.resume.source == "server"
    assert 2.0 <= busy.asked[1] - busy.asked[0] < 4.0


def test_pauses_between_tries_grow(make_client: "Make", stub: Callable[..., Stub]) -> None:
    """Half to all of 0.5, 1 and 2 seconds."""
    busy = stub(*[problem(500, "Internal server error")] * 3, OK)
    with make_client(busy.port, start_timeout=10.0).job("j") as job:
        assert job.resume.source == "server"
    pauses = [b - a for a, b in zip(busy.asked, busy.asked[1:], strict=False)][:3]
    for pause, longest in zip(pauses, (0.5, 1.0, 2.0), strict=True):
        assert longest / 2 <= pause < longest + 0.4


def test_a_wrong_token_is_no_reason_to_ask_again_and_again(
    make_client: "Make", name: str, web: Web, stub: Callable[..., Stub], caplog: pytest.LogCaptureFixture
) -> None:
    """A 401 of the real server is logged as a warning. The crawl goes on, and its updates wait in the spool."""
    with make_client(token="wrong").job(name) as job:
        job.advance("issues", 3)
        flushed = job.flush()
        assert (bool(flushed), flushed.on_server, flushed.on_disk) == (False, False, True)
    assert "Unauthorized" in caplog.text
    assert web.call("GET", f"/api/internal/jobs/{name}").status == 404
    with make_client().job(name) as job:
        assert job.flush().on_server
        assert job.resume.items_by_type == {"issues": 3}, "the next client with a better token has delivered it"
    refusing = stub(problem(401, "Unauthorized"))
    with make_client(refusing.port).job("k") as job:
        for _ in range(20):
            job.advance("issues")
            time.sleep(0.05)
    assert len(refusing.asked) <= 3


@pytest.mark.parametrize("status", [400, 404, 413])
def test_what_is_refused_is_kept_and_not_sent_again(
    make_client: "Make", stub: Callable[..., Stub], tmp_path: Path, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    """Each update is sent once, and stays in the spool for people to see."""
    refusing = stub(problem(status, "No"))
    with make_client(refusing.port, start_timeout=2.0, end_timeout=2.0).job("j", register=False) as job:
        job.advance("issues", 3)
        job.flush(timeout=2.0)
        asked = len(refusing.asked)
        time.sleep(1.0)
        assert len(refusing.asked) == asked
        assert any(payload.get("itemsByType") == {"issues": 3} for payload, _answer in job.refused())
    assert "refused" in caplog.text
    files = list((tmp_path / "spool").glob("*.sqlite3"))
    assert len(files) == 1
    with sqlite3.connect(files[0]) as spool:
        assert spool.execute("SELECT count(*) FROM refused").fetchone()[0] >= 2
    spool.close()


def test_a_200_of_somebody_else_is_no_acknowledgement(make_client: "Make", stub: Callable[..., Stub]) -> None:
    """A hotel's network may answer 200: updates are sent until the endpoint itself acknowledges them."""
    strange = stub((200, {}, "please log in"), (200, {}, {"status": "fine"}), (404, {}, "nothing here"), OK)
    with make_client(strange.port, retries=5).job("j") as job:
        job.advance("issues")
        assert job.flush(timeout=20.0)
        assert len(strange.asked) >= 4
        assert job.refused() == []


def test_one_bad_field_does_not_cost_the_counts_beside_it(make_client: "Make", name: str, look: "Look") -> None:
    """The endpoint refuses the whole update; it is sent again without the fields that the refusal names."""
    with make_client().job(name) as job:
        job.advance("issues", 3, last_id="3")
        with pytest.raises(ValueError, match="currentDataType"):
            job.report(currentDataType="x" * 200)
        # As if the server had a rule that the client does not know.
        job._run.say(Progress.give, prepare({"currentDataType": "x" * 200}))
        assert job.flush().on_server
        job.advance("issues", 2, last_id="5")
    assert look.counts(name) == ({"issues": 5}, 5)
    assert look(name)["progress"]["lastProcessedId"] == "5"


def test_a_dead_server_raises_nothing_and_hears_of_all_of_it_later(
    make_client: "Make", name: str, web: Web, look: "Look", caplog: pytest.LogCaptureFixture
) -> None:
    """Two runs without the server log warnings; the third delivers their updates, in batches, once."""
    dead = some_free_port("127.0.0.1")
    for first in (1, 101):
        with make_client(dead, start_timeout=0.5, end_timeout=0.5, retries=0).job(name) as job:
            assert job.resume.source == ("nothing" if first == 1 else "spool")
            assert job.resume.last_processed_id == (None if first == 1 else "100")
            for number in range(first, first + 100):
                job.advance("issues", last_id=number, key=str(number))
                if number % 10 == 0:
                    assert job.flush(timeout=0.0).on_disk
            job.stage("some stage")
            job.pause({"next": first + 100})
    assert "the server does not take updates" in caplog.text
    assert {record.levelno for record in caplog.records} <= {logging.DEBUG, logging.WARNING}
    with make_client().job(name) as job:
        assert job.resume.last_processed_id == "200"
        assert job.resume.state == {"next": 201}
        assert job.resume.items_by_type == {"issues": 200}
        assert job.seen("57")
    assert look.counts(name) == ({"issues": 200}, 0)
    with psycopg.connect(web.database_url) as db:
        assert db.execute("SELECT tallymark.verify_job(%s)", [name]).fetchone() == (True,)


def test_the_random_numbers_that_the_crawl_has_seeded_stay_the_same(make_client: "Make", name: str, web: Web) -> None:
    """Neither the pauses before a server that is away nor the turns of several jobs take any of them."""
    random.seed(7)
    wanted = random.getstate()
    dead = some_free_port("127.0.0.1")
    for port in (dead, web.port):
        client = make_client(port, start_timeout=0.3, end_timeout=0.3, retries=0)
        with client.job(f"{name} 1") as one, client.job(f"{name} 2") as two:
            for job in (one, two):
                job.advance("issues")
                job.flush(timeout=0.3 if port == dead else 10)
    assert random.getstate() == wanted


def test_what_a_finished_run_left_is_delivered_by_another_job_of_the_spool(
    make_client: "Make", name: str, look: "Look", tmp_path: Path
) -> None:
    """The finished job need not be started again."""
    with make_client(some_free_port("127.0.0.1"), start_timeout=0.3, end_timeout=0.3, retries=0).job(name) as job:
        job.advance("issues", 3)
    with make_client().job(f"{name} other"):
        _until(lambda: not list((tmp_path / "spool").glob(f"{name}-*")))
    assert look.counts(name) == ({"issues": 3}, 3)
    assert look(name)["status"] == "finished"


def test_a_client_that_nobody_waits_for_leaves_the_rest_in_the_spool_when_the_server_fails(
    web: Web, make_client: "Make", name: str, look: "Look"
) -> None:
    """Its threads end, however many retries it has, and the next client finds the file free."""
    before = set(threading.enumerate())
    transport = ChaosTransport(HttpTransport(f"http://127.0.0.1:{web.port}", TOKEN), Mischief(Random(1), active=False))
    client = make_client(transport=transport, retries=1_000_000)
    job = client.job(name).start()
    job.advance("issues")
    assert job.flush()
    transport.cut()
    job.advance("issues")
    client.close(timeout=0)
    for thread in set(threading.enumerate()) - before:
        thread.join(60)
        assert not thread.is_alive(), thread.name
    with make_client().job(name):
        pass
    assert look.counts(name) == ({"issues": 2}, 2)


def test_a_full_spool_grows_no_further_and_loses_no_count(make_client: "Make", name: str, look: "Look") -> None:
    """The spool may hold 5 of 300 updates: further counts go into the last of them."""
    dead = some_free_port("127.0.0.1")
    with make_client(dead, start_timeout=0.3, end_timeout=0.3, retries=0, spool_limit=5).job(name) as job:
        for number in range(1, 301):
            job.advance("issues", last_id=number)
            job.flush(timeout=0.0)
        assert job.undelivered < 20
        job.pause()
    with make_client().job(name) as job:
        assert job.resume.last_processed_id == "300"
    assert look.counts(name) == ({"issues": 300}, 300)


def test_without_a_spool_and_a_server_a_flush_says_so(make_client: "Make") -> None:
    """Only `flush` raises: it alone can tell the crawler that a kill would lose its reports."""
    client = make_client(some_free_port("127.0.0.1"), spool=None, start_timeout=0.3, end_timeout=0.3, retries=0)
    with client.job("j") as job:
        job.advance("issues")
        with pytest.raises(DeliveryError):
            job.flush(timeout=1.0)


def test_a_server_that_comes_back_gets_all_without_a_restart(
    make_client: "Make", name: str, db_url: str, start_web: Callable[..., Web], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The crawl started without the server."""
    port = some_free_port("127.0.0.1")
    with make_client(port, start_timeout=0.3, retries=1, spool=None).job(name) as job:
        job.advance("issues", 3, last_id="3")
        monkeypatch.setattr("tests.web.conftest.some_free_port", lambda _host: port)
        running = start_web(db_url)
        job.advance("issues", 2, last_id="5")
        assert job.flush(timeout=30.0)
    found = running.call("GET", f"/api/internal/jobs/{name}").json
    assert (found["status"], found["progress"]["itemsByType"]) == ("finished", {"issues": 5})


def _until(holds: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.05)
