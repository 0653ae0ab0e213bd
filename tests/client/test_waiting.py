"""A crawl that waits says so, and one that has nothing to report gives signs of life and receives commands."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from tests.client.test_delivery import OK, Stub, problem, stub
from tests.web.conftest import Web

from tallymark import ProgressClient

if TYPE_CHECKING:
    from tests.client.conftest import Look, Make

__all__ = ["stub"]


def until(holds: Callable[[], Any]) -> None:
    """Wait until something holds."""
    give_up = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.02)


def statuses(job: dict[str, Any]) -> list[str]:
    """Return the statuses of all updates of a job."""
    return [event["details"]["status"] for event in job["progress"]["timeline"] if "status" in event["details"]]


def liveness(web: Web, name: str) -> dict[str, Any]:
    """Return how a job is."""
    found: dict[str, Any] = web.call("GET", f"/api/internal/jobs/{name}/liveness").json
    return found


def is_alive_after(web: Web, name: str, earlier: str | None) -> bool:
    """Return whether a job has given a sign of life that is not an earlier one."""
    return bool(liveness(web, name)["aliveAt"] != earlier)


def test_a_wait_is_reported_at_its_begin_and_at_its_end(make_client: "Make", name: str, look: "Look", web: Web) -> None:
    """With its end and its reason; the counts before it are in the update before it."""
    with make_client().job(name) as job:
        job.advance("pages", 3, last_id="3")
        with job.waiting(until=timedelta(hours=1), reason="rate limit") as wait:
            assert job.flush()
            found = look(name)
            assert (found["status"], found["wait"]["reason"]) == ("waiting", "rate limit")
            assert datetime.fromisoformat(found["wait"]["until"]) == wait.until
            assert found["progress"]["itemsByType"] == {"pages": 3}
            assert liveness(web, name)["state"] == "waiting"
        assert job.flush()
        assert look(name)["status"] == "running"
    assert statuses(look(name)) == ["started", "processing", "waiting", "processing", "completed"]
    [reason] = liveness(web, name)["waited"]["reasons"]
    assert (reason["reason"], reason["waits"], reason["current"]) == ("rate limit", 1, False)


def test_of_waits_inside_each_other_the_one_that_ends_last_counts(make_client: "Make", name: str, look: "Look") -> None:
    """The inner one is not reported if it ends sooner; the outer one goes on after a longer inner one."""
    with make_client().job(name) as job:
        with (
            job.waiting(100, "outer"),
            job.waiting(50, "sooner"),
            job.waiting(200, "later"),
            job.waiting(reason="open"),
        ):
            assert job.flush()
        assert job.flush()
    waits = [event["details"] for event in look(name)["progress"]["timeline"] if event["details"].get("reason")]
    assert [wait["reason"] for wait in waits] == ["outer", "later", "open", "later", "outer"]
    assert statuses(look(name))[-2:] == ["processing", "completed"]


def test_threads_may_wait_at_the_same_time(make_client: "Make", name: str, look: "Look", web: Web) -> None:
    """One object or several, in any order: afterwards the job works, and no wait is left open."""
    with make_client().job(name) as job:
        shared = job.waiting(reason="shared")

        def wait(number: int) -> None:
            for _ in range(20):
                with shared, job.waiting(number, "own"):
                    pass

        threads = [threading.Thread(target=wait, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert job.flush(60)
        assert look(name)["status"] == "running"
    assert not any(reason["current"] for reason in liveness(web, name)["waited"]["reasons"])


def test_an_asynchronous_crawl_waits_likewise(make_client: "Make", name: str, look: "Look") -> None:
    """As `async with`."""

    async def crawl() -> None:
        async with make_client().job(name) as job:
            async with job.waiting(30, "rate limit"):
                await job.aflush()
                assert look(name)["status"] == "waiting"
            await job.aflush()
            assert look(name)["status"] == "running"

    asyncio.run(crawl())


def test_an_exception_ends_a_wait_and_passes(make_client: "Make", name: str, look: "Look") -> None:
    """The job fails with it, as without the wait."""
    with pytest.raises(ZeroDivisionError), make_client().job(name) as job, job.waiting(30):
        raise ZeroDivisionError
    assert statuses(look(name)) == ["started", "waiting", "processing", "failed"]


def test_a_job_that_ends_while_it_waits_stays_ended(
    make_client: "Make", name: str, look: "Look", caplog: pytest.LogCaptureFixture
) -> None:
    """The end of the wait reports nothing, and says nothing of a loss."""
    job = make_client().job(name).start()
    with job.waiting(30), caplog.at_level(logging.WARNING):
        job.complete()
    assert statuses(look(name)) == ["started", "waiting", "completed"]
    assert not caplog.messages


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        (30, 30),
        (1.5, 1.5),
        ("120", 120),
        (" 120 ", 120),
        (-5, 0),
        (timedelta(minutes=2), 120),
        (timedelta(minutes=-2), 0),
    ],
)
def test_the_end_of_a_wait_may_be_a_number_of_seconds(
    make_client: "Make", name: str, told: object, seconds: float
) -> None:
    """From now on."""
    with make_client().job(name) as job:
        before = datetime.now(UTC)
        ends = job.waiting(told).until  # type: ignore[arg-type]
        assert ends is not None
        assert before + timedelta(seconds=seconds) <= ends <= datetime.now(UTC) + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "told",
    [
        datetime(2027, 1, 6, 19, 15, 30, tzinfo=UTC),
        "2027-01-06T19:15:30Z",
        "2027-01-06T20:15:30+01:00",
        format_datetime(datetime(2027, 1, 6, 19, 15, 30, tzinfo=UTC), usegmt=True),
    ],
)
def test_the_end_of_a_wait_may_be_a_time(make_client: "Make", name: str, told: datetime | str) -> None:
    """Also as the header Retry-After has it."""
    with make_client().job(name) as job:
        assert job.waiting(told).until == datetime(2027, 1, 6, 19, 15, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("told", "error"),
    [
        ("soon", ValueError),
        ("", ValueError),
        (float("nan"), ValueError),
        (float("inf"), ValueError),
        (1e300, ValueError),
        (True, TypeError),
        ([], TypeError),
    ],
)
def test_what_is_no_moment_raises_at_the_call(
    make_client: "Make", name: str, look: "Look", told: object, error: type[Exception]
) -> None:
    """Nothing is reported, and the next wait is."""
    with make_client().job(name) as job:
        with pytest.raises(error):
            job.waiting(told)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            job.waiting(reason=5)  # type: ignore[arg-type]
        with job.waiting(reason="x" * 300):
            pass
        assert job.flush()
        assert not job.refused()
    assert statuses(look(name)) == ["started", "waiting", "processing", "completed"]
    assert look(name)["progress"]["reason"] == "x" * 100


def test_a_crawl_waits_as_a_site_tells_it(make_client: "Make", name: str, look: "Look") -> None:
    """For as long as Retry-After says."""
    with make_client().job(name) as job:
        began = time.monotonic()
        assert job.wait_as_told("1")
        assert time.monotonic() - began >= 1
    assert statuses(look(name)) == ["started", "waiting", "processing", "completed"]
    assert look(name)["progress"]["reason"] == "Retry-After"


@pytest.mark.parametrize("told", ["soon", "", "-1", "1e400", "9" * 30])
def test_what_a_site_tells_cannot_end_the_crawl(
    make_client: "Make", name: str, look: "Look", web: Web, caplog: pytest.LogCaptureFixture, told: str
) -> None:
    """The header may hold anything. The crawl waits a minute then, or until an operator asks it to stop."""
    with make_client(alive_every=0.2).job(name) as job:
        assert job.flush()
        assert web.call("POST", f"/api/internal/jobs/{name}/command", {"command": "pause"}).status == 200
        assert not job.wait_as_told(told)
        with pytest.raises(ValueError, match="finite"):
            job.wait_as_told(float("nan"))
    assert "waits 60 s" in caplog.text
    assert look(name)["status"] == "paused"


def test_a_command_ends_the_wait_of_a_crawl_with_nothing_to_report(
    make_client: "Make", name: str, look: "Look", web: Web
) -> None:
    """It comes with the answer to a sign of life, long before the wait is over."""
    heard: list[str] = []
    with make_client(alive_every=0.2).job(name, on_command=heard.append) as job:
        assert job.flush()
        assert web.call("POST", f"/api/internal/jobs/{name}/command", {"command": "pause"}).status == 200
        assert not job.wait_as_told(3600)
    assert heard == ["pause"]
    assert (look(name)["status"], look(name)["command"]) == ("paused", None)


def test_a_job_with_nothing_to_report_gives_signs_of_life(
    make_client: "Make", name: str, look: "Look", web: Web
) -> None:
    """All open jobs of a client do, and no update is appended by it."""
    client = make_client(alive_every=0.2)
    names = [f"{name}_{number}" for number in range(5)] + [f"{name}/..", ".."]
    jobs = [client.job(each, worker="w").start() for each in names]
    for each in names:
        path = each.replace("/", "%2F").replace("..", "%2E%2E")
        until(partial(is_alive_after, web, path, None))
        first = liveness(web, path)["aliveAt"]
        until(partial(is_alive_after, web, path, first))
    assert statuses(look(names[0])) == ["started"]
    for job in jobs:
        job.complete()


def test_a_client_gives_no_signs_of_life_if_it_is_told_so(make_client: "Make", stub: Callable[..., Stub]) -> None:
    """Only the updates are sent."""
    server = stub(OK)
    with make_client(server.port, alive_every=None).job("j", register=False) as job:
        assert job.flush()
        asked = len(server.asked)
        time.sleep(1)
        assert len(server.asked) == asked
    with pytest.raises(ValueError, match="alive_every"):
        ProgressClient("http://127.0.0.1:1", token="t", alive_every=0)


@pytest.mark.parametrize(
    "answer", [problem(405, "Method not allowed", Allow="GET"), problem(404, "Not found"), (404, {}, "Not Found")]
)
def test_a_server_of_an_earlier_release_is_asked_for_signs_once(
    make_client: "Make",
    stub: Callable[..., Stub],
    caplog: pytest.LogCaptureFixture,
    answer: tuple[int, dict[str, str], object],
) -> None:
    """The client says so, and updates go on."""
    server = stub(OK, answer, OK)
    with (
        caplog.at_level(logging.INFO, logger="tallymark.client"),
        make_client(server.port, alive_every=0.2).job("j", register=False) as job,
    ):
        until(lambda: any("earlier release" in message for message in caplog.messages))
        asked = len(server.asked)
        job.advance("pages")
        assert job.flush()
        assert len(server.asked) == asked + 1
    assert sum("earlier release" in message for message in caplog.messages) == 1


def test_an_earlier_server_takes_a_wait_as_progress(
    make_client: "Make", stub: Callable[..., Stub], caplog: pytest.LogCaptureFixture
) -> None:
    """It does not know the status; the update is sent again as `processing`, and what comes after it counts.

    Nothing of the crawl's own is lost, so `flush` is true. The log says once what is missing.
    """
    refusal = {
        "type": "about:blank",
        "status": 400,
        "title": "Bad Request",
        "error": "Invalid status: waiting",
        "details": [{"field": "status", "problem": "must be started, processing, completed, failed or paused"}],
    }
    server = stub(OK, (400, {}, refusal), OK, OK, (400, {}, refusal), OK)
    with make_client(server.port, alive_every=None).job("j", register=False) as job:
        for _ in range(2):
            with job.waiting(30, "rate limit"):
                assert job.flush()
            assert job.flush()
        job.advance("pages")
        assert job.flush()
        assert not job.refused()
    assert caplog.text.count("the server is of an earlier release") == 1


def test_reports_that_the_server_kept_waiting_say_so_afterwards(
    make_client: "Make", stub: Callable[..., Stub], name: str, look: "Look", web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The crawl went on, so it did not wait; an entry of the timeline explains the gap."""
    monkeypatch.setattr("tallymark.client.alive.LONG_SECONDS", 0.5)
    busy = stub(problem(503, "Unavailable", **{"Retry-After": "1"}))
    client = make_client(busy.port, start_timeout=0.2)
    job = client.job(name).start()
    until(lambda: busy.asked)
    monkeypatch.setattr(client._sender._transport, "_base", f"http://127.0.0.1:{web.port}")
    job.advance("pages", 3)
    until(lambda: job.flush(30))
    until(lambda: "delivery_delayed" in look.kinds(name))
    job.complete()
    [told] = [event for event in look(name)["progress"]["timeline"] if event["event"] == "delivery_delayed"]
    assert (told["details"]["status"], told["details"]["retryAfter"]) == (503, 1.0)
    assert told["details"]["seconds"] >= 0.5
    assert liveness(web, name)["waited"]["reasons"] == []
