"""Several crawls of one job, several jobs of one client, and a spool that fails or is damaged."""

import logging
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.web.conftest import TOKEN, Web

from tallymark.client import spool as spool_module

if TYPE_CHECKING:
    from tests.client.conftest import Look, Make

_LEAVE_SOMETHING = """
import os, sys
from tallymark import ProgressClient
client = ProgressClient("http://127.0.0.1:1", token="x", spool=sys.argv[1], start_timeout=0.1, retries=0)
job = client.job(sys.argv[2]).start()
job.advance("issues", 5, last_id="5")
assert job.flush(timeout=0).on_disk
job.advance("issues", 100, last_id="never flushed")
os.kill(os.getpid(), 9)
"""


def test_two_crawls_of_a_job_that_have_no_names_lose_nothing_by_type(
    make_client: "Make", name: str, look: "Look", monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The second gets its own file and a warning, because running totals of unnamed workers cannot be told apart."""
    monkeypatch.setattr(spool_module, "_PATIENCE_SECONDS", 0.2)
    with make_client().job(name) as one, make_client().job(name) as other:
        for number in range(100):
            one.advance("issues", last_id=number)
            other.advance("commits", 2, processed=0)
        assert one.flush()
        assert other.flush()
        assert look.counts(name) == ({"issues": 100, "commits": 200}, 100)
    assert "name the workers" in caplog.text


def test_a_job_is_open_once_in_a_client(make_client: "Make", name: str) -> None:
    """Opening it twice is a mistake; opening it again after its end is not."""
    client = make_client()
    with client.job(name):
        with pytest.raises(ValueError, match="open in this client already"):
            client.job(name).start()
        with client.job(name, worker="other") as other:
            assert other.advance("issues")
    with client.job(name) as again:
        assert again.resume.items_by_type == {"issues": 1}


def test_one_client_serves_many_jobs_at_once(make_client: "Make", name: str, look: "Look") -> None:
    """Each in a thread of its own."""
    client = make_client()

    def crawl(number: int) -> None:
        with client.job(f"{name}_{number}") as job:
            for item in job.track(range(50), type="issues", id=str):
                job.advance("commits", number, last_id=item, processed=0)

    threads = [threading.Thread(target=crawl, args=(number,)) for number in range(1, 21)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(1, 21):
        assert look.counts(f"{name}_{number}") == ({"issues": 50, "commits": 50 * number}, 50)
        assert look(f"{name}_{number}")["status"] == "finished"


def test_what_was_flushed_before_a_kill_is_counted_by_the_next_run(
    make_client: "Make", name: str, look: "Look", tmp_path: Path
) -> None:
    """And nothing else: cursor and counts agree."""
    done = subprocess.run([sys.executable, "-c", _LEAVE_SOMETHING, str(tmp_path / "spool"), name], check=False)
    assert done.returncode == -9
    with make_client().job(name) as job:
        flushed = job.resume.last_processed_id == "5"
        assert job.resume.items_by_type == {"issues": 5 if flushed else 105}
    assert look.counts(name) == ({"issues": 5}, 5) if flushed else ({"issues": 105}, 105)


def test_a_spool_that_cannot_be_made_is_a_warning(
    make_client: "Make", name: str, look: "Look", tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The crawl goes on in memory."""
    (tmp_path / "file").write_text("no directory")
    with make_client(spool=tmp_path / "file" / "spool").job(name) as job:
        job.advance("issues")
        assert job.flush()
    assert "cannot be used" in caplog.text
    assert look.counts(name) == ({"issues": 1}, 1)


def test_a_damaged_spool_is_put_aside(
    make_client: "Make", name: str, look: "Look", tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is kept for people to look at; the job continues from what the server has."""
    client = make_client()
    with client.job(name) as job:
        job.advance("issues", 3, last_id="3")
        job.pause()
    client.close()
    (file,) = (tmp_path / "spool").glob("*.sqlite3")
    file.write_bytes(b"not a database at all, but a text " * 1000)
    with caplog.at_level(logging.WARNING), make_client() as client, client.job(name) as job:
        assert job.resume.last_processed_id == "3"
        job.advance("issues")
    assert "is damaged" in caplog.text
    assert [path.name.partition("damaged")[1] for path in (tmp_path / "spool").iterdir()] == ["damaged"]
    assert look.counts(name) == ({"issues": 4}, 4)


def test_a_client_that_ends_with_a_job_open_leaves_it_for_a_restart(make_client: "Make", name: str, web: Web) -> None:
    """All reports are delivered, and the job's status is still running."""
    code = (
        "import sys; from tallymark import ProgressClient\n"
        f"client = ProgressClient(sys.argv[1], token={TOKEN!r}, spool=None, every_seconds=600)\n"
        "client.job(sys.argv[2]).start().advance('issues', 3)\n"
    )
    url = f"http://127.0.0.1:{web.port}"
    subprocess.run([sys.executable, "-c", code, url, name], check=True, timeout=60)
    job = web.call("GET", f"/api/internal/jobs/{name}").json
    assert (job["status"], job["progress"]["itemsByType"]) == ("running", {"issues": 3})
    with make_client().job(name) as again:
        assert again.resume.items_by_type == {"issues": 3}
