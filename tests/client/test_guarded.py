"""Mistakes of a crawler or its operator never cost other counts."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tallymark.client.outbox import Outbox
from tallymark.functions.tokens import create_token

if TYPE_CHECKING:
    from tests.client.conftest import Look, Make
    from tests.web.conftest import Web


@pytest.mark.parametrize("bad", [b"bytes", float("nan"), {1, 2}, object()])
def test_a_field_that_is_no_json_raises_and_changes_nothing(
    make_client: "Make", name: str, look: "Look", bad: object
) -> None:
    """The counts before and after it arrive, and so does the end."""
    with make_client().job(name) as job:
        job.advance("issues", 3)
        with pytest.raises((TypeError, ValueError)):
            job.report(extra=bad)
        with pytest.raises((TypeError, ValueError)):
            job.checkpoint(bad)
        with pytest.raises((TypeError, ValueError)):
            job.complete(extra=bad)
        job.advance("issues", 5)
        job.error("odd", value=bad)
    assert look.counts(name) == ({"issues": 8}, 8)
    assert look(name)["status"] == "finished"


def test_a_failure_is_told_whatever_its_context_is(make_client: "Make", name: str, look: "Look") -> None:
    """Context that is not JSON is reported as text."""
    with make_client().job(name) as job:
        job.advance("issues", 2)
        job.fail(ValueError("bad\0 \ud800"), item=object(), number=float("inf"))
    found = look(name)
    assert found["status"] == "failed"
    assert found["progress"]["error"]["context"]["number"] == "inf"
    assert look.counts(name) == ({"issues": 2}, 2)


@pytest.mark.parametrize(
    "wrong",
    [{"last_id": "x" * 256}, {"type": ""}, {"type": "x" * 101}, {"n": 2**53}],
    ids=["id", "no type", "type", "n"],
)
def test_what_the_server_would_refuse_is_an_error_at_once(
    make_client: "Make", name: str, look: "Look", wrong: dict[str, Any]
) -> None:
    """If an update lacked its cursor or a count, a restart would count wrongly."""
    with make_client().job(name) as job:
        job.advance("issues", 1, last_id="a")
        with pytest.raises(ValueError, match=r"255|100|2\^53"):
            job.advance(**{"type": "issues", "n": 1, **wrong})
        with pytest.raises(ValueError, match="64 KB"):
            job.checkpoint("x" * 70_000)
    assert look.counts(name) == ({"issues": 1}, 1)
    assert look(name)["progress"]["lastProcessedId"] == "a"


def test_a_token_for_other_jobs_keeps_what_is_said_until_there_is_a_better_one(
    make_client: "Make", name: str, look: "Look", web: "Web"
) -> None:
    """Nothing is thrown away, the crawl does not wait long, and the client's other jobs go on."""
    assert web.register(name).status == 201
    with psycopg.connect(web.database_url, autocommit=True) as admin:
        token = create_token(admin, f"only {name}", ["write"], job_prefix=f"{name}_mine")
    began = time.monotonic()
    client = make_client(token=token)
    with client.job(f"{name}_mine") as mine, client.job(name) as job:
        job.advance("issues", 5)
        mine.advance("issues", 7)
        assert not job.flush(1)
        assert mine.flush()
    assert time.monotonic() - began < 30
    client.close()
    assert look.counts(f"{name}_mine") == ({"issues": 7}, 7)
    with make_client().job(name) as again:
        assert again.resume.items_by_type == {"issues": 5}


def test_a_callback_that_exits_stops_no_delivery(make_client: "Make", name: str, look: "Look", web: "Web") -> None:
    """It runs in the client's thread, which survives."""

    def leave(_command: str) -> None:
        raise SystemExit(3)

    with make_client().job(name, on_command=leave) as job:
        assert web.call("POST", f"/api/internal/jobs/{name}/command", {"command": "pause"}).status == 200
        job.advance("issues", 1)
        assert job.flush()
        assert job.command == "pause"
        job.advance("issues", 2)
        assert job.flush()
    assert look.counts(name) == ({"issues": 3}, 3)


def test_a_callback_may_end_the_job(make_client: "Make", name: str, look: "Look", web: "Web") -> None:
    """The thread does not wait for itself."""
    job = make_client().job(name, on_command=lambda _command: job.pause({"page": 3}))
    with job:
        assert web.call("POST", f"/api/internal/jobs/{name}/command", {"command": "pause"}).status == 200
        began = time.monotonic()
        job.advance("issues", 1)
        job.flush()
    assert time.monotonic() - began < 10
    give_up = time.monotonic() + 10
    while look(name)["status"] != "paused":
        assert time.monotonic() < give_up
        time.sleep(0.02)
    assert look(name)["resumeState"] == {"page": 3}


def test_a_closed_client_begins_no_job(make_client: "Make", name: str) -> None:
    """It raises an error, because it could not deliver anything."""
    client = make_client()
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        client.job(name).start()


def test_a_crawl_that_ended_and_begins_again_without_a_server_goes_on_from_where_it_was(
    make_client: "Make", name: str, look: "Look"
) -> None:
    """The spool knows where; the counts are the same as if the server had been there all the time: a key once a job."""
    for run in range(3):
        with make_client(port=1, retries=0).job(name) as job:
            assert job.resume.source == ("spool" if run else "nothing")
            assert job.resume.last_processed_id == (str(10 * run) if run else None)
            for number in range(10 * run + 1, 10 * run + 11):
                job.advance("issues", last_id=number, key=f"in every run {number % 10}")
    with make_client().job(name) as job:
        assert job.resume.source == "server"
        assert job.resume.last_processed_id == "30"
    assert look.counts(name) == ({"issues": 10}, 0)


def test_an_empty_file_of_a_killed_crawl_is_no_hindrance(
    make_client: "Make", name: str, look: "Look", tmp_path: Path
) -> None:
    """The updates in the other file are delivered, and the crawl continues from there."""
    with make_client(port=1, retries=0).job(name) as job:
        job.advance("issues", 7, last_id=7)
        job.pause()
    [path] = (tmp_path / "spool").glob("*~1.sqlite3")
    Outbox(path.with_name(path.name.replace("~1", "~2")), limit=10).close()
    with make_client().job(name) as job:
        assert (job.resume.source, job.resume.last_processed_id) == ("server", "7")
        job.advance("issues", 3)
    assert look.counts(name) == ({"issues": 10}, 10)


def test_what_is_asked_after_the_end_is_answered(make_client: "Make", name: str) -> None:
    """Another thread of the crawl may be a little late."""
    with make_client() as client:
        with client.job(name) as job:
            assert job.advance("issues", key="a")
        client.close()
        assert not job.seen("b")
        assert not job.advance("issues")
        assert job.refused() == []


def test_a_warning_of_the_server_is_told_once(
    make_client: "Make", name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Some warnings are in every answer, such as that of a clock that runs ahead."""
    true_time = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: true_time() + 86_400 * 10**9)
    with caplog.at_level("DEBUG", "tallymark.client"), make_client().job(name) as job:
        for _ in range(3):
            job.advance("issues")
            assert job.flush()
    told = [
        (record.levelname, record.getMessage()) for record in caplog.records if f"job {name}: " in record.getMessage()
    ]
    assert [level for level, _ in told].count("WARNING") == 1, told
    assert [level for level, _ in told].count("DEBUG") >= 3
