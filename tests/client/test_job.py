"""Reports other than counts, the ways in which a job ends, and commands of operators."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

import psycopg
import pytest
from tests.web.conftest import Web

if TYPE_CHECKING:
    from tests.client.conftest import Look, Make


def test_stages_events_and_fields_are_in_the_job_and_its_timeline(make_client: "Make", name: str, look: "Look") -> None:
    """Items counted before a stage belong to the stage before it."""
    with make_client().job(name) as job:
        job.total(500)
        job.advance("groups", 2)
        job.stage("collecting issues", operation="data_collection", data_type="issues")
        job.advance("issues", 4)
        job.event("rate_limit", {"until": "noon"})
        job.report(message="going well", branch="main")
        job.checkpoint({"page": 9}, last_id="issue-4")
    progress = look(name)["progress"]
    shown = ("totalItems", "stage", "operationType", "currentDataType", "message", "branch", "lastProcessedId")
    assert [progress[field] for field in shown] == [
        *(500, "collecting issues", "data_collection", "issues", "going well", "main", "issue-4")
    ]
    kinds = look.kinds(name)
    assert kinds.count("stage_change") == kinds.count("rate_limit") == kinds.count("completion") == 1
    own = next(event for event in progress["timeline"] if event["event"] == "rate_limit")
    assert own["details"] == {"until": "noon"}


def test_half_a_character_in_the_name_of_a_field_costs_no_count(make_client: "Make", name: str, look: "Look") -> None:
    """It is replaced by U+FFFD, as in values and in names further in."""
    with make_client().job(name) as job:
        job.advance("issues", 2)
        job.report(**{"cut \ud83d": {"inner \ud83d": 1}})
        assert job.flush()
        job.advance("issues", 3)
    progress = look(name)["progress"]
    assert (progress["itemsByType"], progress["cut \ufffd"]) == ({"issues": 5}, {"inner \ufffd": 1})


def test_more_done_than_expected_is_no_refusal(make_client: "Make", name: str, look: "Look") -> None:
    """The protocol refuses totals that are too small, so the client raises them."""
    with make_client().job(name) as job:
        job.total(3)
        job.advance("issues", 5)
        assert job.flush()
        job.advance("issues", 5)
    progress = look(name)["progress"]
    assert (progress["processedItems"], progress["totalItems"], progress["itemsByType"]) == (10, 10, {"issues": 10})


def test_areas_that_are_discovered_count_once(make_client: "Make", name: str, look: "Look", web: Web) -> None:
    """Even if a restart discovers them again; thousands are divided over several updates."""
    areas = [{"type": "group", "fullPath": "acme", "name": "Acme"}]
    areas += [{"type": "project", "fullPath": f"acme/{n}", "parentPath": "acme"} for n in range(1200)]
    for _ in range(2):
        with make_client().job(name) as job:
            job.discovered(areas)
    assert look.counts(name)[0] == {"groups": 1, "projects": 1200}
    assert web.call("GET", f"/api/internal/jobs/{name}/areas").json["areas"][0]["path"] == "acme"


def test_a_credential_that_expires_and_works_again_is_told(make_client: "Make", name: str, look: "Look") -> None:
    """The job's status shows it until the next count."""
    with make_client().job(name) as job:
        for what, status in (("expiry", "credential_expired"), ("resumed", "credential_renewed")):
            job.credential(what, type="token", providerId="git", message="of the bot")  # type: ignore[arg-type]
            assert job.flush()
            assert look(name)["status"] == status
        job.advance("issues")
        assert job.flush()
        assert look(name)["status"] == "running"
    assert look.kinds(name).count("credential_status_change") == 2


def test_an_error_on_the_way_is_told_and_ends_nothing(make_client: "Make", name: str, look: "Look") -> None:
    """The report has the error's type and context."""
    with make_client().job(name) as job:
        try:
            int("x")
        except ValueError as error:
            job.error(error, url="/a\0b\ud800")
        assert job.flush()
        assert look(name)["status"] == "running"
        told = look(name)["progress"]["error"]
        assert (told["type"], told["message"]) == ("ValueError", "invalid literal for int() with base 10: 'x'")
        assert "test_job.py" in told["stack"]
        assert told["context"]["url"].startswith("/a")
        job.error("just text")
    assert look.kinds(name).count("error") == 2
    assert look(name)["status"] == "finished"


def test_an_exception_fails_the_job_and_goes_on_up(make_client: "Make", name: str, look: "Look") -> None:
    """The report has type, message, stack and cursor."""

    def crawl() -> None:
        with make_client().job(name) as job:
            job.advance("issues", 3, last_id="issue-3")
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        crawl()
    found = look(name)
    assert found["status"] == "failed"
    error = found["progress"]["error"]
    assert (error["type"], error["message"]) == ("RuntimeError", "broken")
    assert 'raise RuntimeError("broken")' in error["stack"]
    assert error["context"]["lastProcessedId"] == "issue-3"
    assert look.counts(name) == ({"issues": 3}, 3)


def test_a_keyboard_interrupt_pauses_the_job(make_client: "Make", name: str, look: "Look") -> None:
    """Ctrl-C is not a failure."""

    def crawl() -> None:
        with make_client().job(name) as job:
            job.advance("issues", 3)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        crawl()
    assert look(name)["status"] == "paused"
    assert look.counts(name) == ({"issues": 3}, 3)


@pytest.mark.parametrize(
    ("end", "status"),
    [("pause", "paused"), ("complete", "finished"), ("cancel", "cancelled"), ("fail", "failed")],
)
def test_an_end_that_is_said_is_the_only_one(
    make_client: "Make", name: str, look: "Look", end: str, status: str
) -> None:
    """Leaving the block sends nothing more; later reports are dropped with a warning."""
    with make_client().job(name) as job:
        job.advance("issues")
        getattr(job, end)(*(["the disk is full"] if end == "fail" else []))
        seq = look(name)["lastSeq"]
        assert not job.advance("issues")
    assert (look(name)["status"], look(name)["lastSeq"]) == (status, seq)
    assert look.counts(name) == ({"issues": 1}, 1)


@pytest.mark.parametrize(("command", "status"), [("pause", "paused"), ("cancel", "cancelled")])
def test_a_command_stops_the_loop_and_is_obeyed(
    make_client: "Make", name: str, look: "Look", web: Web, command: str, status: str
) -> None:
    """The callback is called, `track` ends by itself, and leaving the block reports that the command was obeyed."""
    heard: list[str] = []
    with make_client().job(name, on_command=heard.append) as job:
        done = 0
        for item in job.track(range(100_000), type="issues", id=str):
            if item == 20:
                assert job.flush()
                asked = web.call("POST", f"/api/internal/jobs/{name}/command", {"command": command})
                assert asked.status == 200, asked.body
            time.sleep(0.002)
            done += 1
        assert done < 50_000
        assert job.should_stop
        assert job.command == command
    assert heard == [command]
    found = look(name)
    assert (found["status"], found["command"]) == (status, None)
    assert look.counts(name) == ({"issues": done}, done)


def test_a_command_that_nobody_looked_at_is_not_taken_for_obeyed(
    make_client: "Make", name: str, look: "Look", web: Web
) -> None:
    """The crawl ran to its end, so the job is completed."""
    with make_client().job(name) as job:
        web.call("POST", f"/api/internal/jobs/{name}/command", {"command": "pause"})
        job.advance("issues")
        assert job.flush()
        assert job.command == "pause"
    assert look(name)["status"] == "finished"


def test_eight_threads_count_to_the_item(make_client: "Make", name: str, look: "Look", web: Web) -> None:
    """1000 times each, with keys that collide and flushes in between."""
    with make_client(every_items=50).job(name) as job:
        counted: list[int] = []

        def work(me: int) -> None:
            fresh = 0
            for n in range(1000):
                job.advance("issues")
                job.advance(f"of thread {me}", 2, processed=0)
                fresh += job.advance("pages", key=f"page {n // 10}", processed=0)
                if n % 250 == 0:
                    job.flush()
            counted.append(fresh)

        threads = [threading.Thread(target=work, args=(me,)) for me in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(counted) == 100
    expected = {"issues": 8000, "pages": 100} | {f"of thread {me}": 2000 for me in range(8)}
    assert look.counts(name) == (expected, 8000)
    with psycopg.connect(web.database_url) as db:
        assert db.execute("SELECT tallymark.verify_job(%s)", [name]).fetchone() == (True,)


def test_two_clients_on_one_job_and_one_spool_lose_nothing(make_client: "Make", name: str, look: "Look") -> None:
    """The workers have names, so each has its own file, and their totals are summed."""
    with make_client().job(name, worker="a") as a, make_client().job(name, worker="b") as b:
        for number in range(200):
            a.advance("issues", last_id=f"a{number}")
            b.advance("issues", 2)
        assert a.flush()
        assert b.flush()
        assert look.counts(name) == ({"issues": 600}, 600)
        b.pause()
    assert look.counts(name) == ({"issues": 600}, 600)
    with make_client().job(name, worker="b") as again:
        again.advance("issues", 5)
    assert look.counts(name) == ({"issues": 605}, 605)


def test_it_works_in_an_event_loop(make_client: "Make", name: str, look: "Look") -> None:
    """`async with`, `async for` and `aflush` do not block the event loop while the client waits."""

    async def issues() -> AsyncIterator[int]:
        for number in range(30):
            await asyncio.sleep(0)
            yield number

    async def crawl() -> None:
        async with make_client().job(name) as job:
            async for _issue in job.atrack(issues(), type="issues", id=str, total=30):
                await asyncio.sleep(0)
            assert await job.aflush()

    asyncio.run(crawl())
    assert look(name)["status"] == "finished"
    assert look.counts(name) == ({"issues": 30}, 30)
    assert look(name)["progress"]["lastProcessedId"] == "29"


def test_a_task_that_is_cancelled_pauses_its_job(make_client: "Make", name: str, look: "Look") -> None:
    """A service that is stopped cancels its tasks."""

    async def crawl(started: Callable[[], object]) -> None:
        async with make_client().job(name) as job:
            job.advance("issues", 2)
            started()
            await asyncio.sleep(60)

    async def stop_it() -> None:
        running = asyncio.Event()
        task = asyncio.create_task(crawl(running.set))
        await running.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(stop_it())
    assert look(name)["status"] == "paused"
    assert look.counts(name) == ({"issues": 2}, 2)
