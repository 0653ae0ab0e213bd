"""Real spiders in processes of their own, a site that they crawl, and a Tallymark that can be killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import psycopg
import pytest
from tests.processes import ending_if_it_fails
from tests.web.conftest import TOKEN, Web

EXAMPLE = Path(__file__).parents[2] / "docs/examples/scrapy_spider.py"
#: Longer than anything here has ever taken.
_PATIENCE_SECONDS = 300.0


def wait_until(holds: Callable[[], bool], what: str, log: Path | None = None) -> None:
    """Wait until a condition holds.

    Args:
        holds: Returns whether it does.
        what: The condition as text, for the message.
        log: A file that may have the reason why it does not.
    """
    give_up = time.monotonic() + _PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < give_up, f"waited in vain for {what}\n{log.read_text() if log else ''}"
        time.sleep(0.01)


def is_verified(db: psycopg.Connection[Any], job_id: str) -> bool:
    """Return whether a job's state matches its ledger."""
    row = db.execute("SELECT tallymark.verify_job(%s)", [job_id]).fetchone()
    assert row is not None
    return row[0] is True


class Tallymark(Web):
    """A `tallymark serve` that is asked about jobs, and killed."""

    def kill(self) -> None:
        """Kill all its processes with -9."""
        main = psutil.Process(self.process.pid)
        processes = [main, *main.children(recursive=True)]
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait(_PATIENCE_SECONDS)
        psutil.wait_procs(processes[1:], timeout=_PATIENCE_SECONDS)

    def restart(self) -> None:
        """Start it after a kill, at the same address, and wait until it answers."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("TALLYMARK_", "DATABASE_"))}
        with self.log.open("ab") as stderr:
            self.process = subprocess.Popen(
                self.command(),
                stderr=stderr,
                env={**clean, "DATABASE_URL": self.database_url, "CRAWLER_API_TOKEN": TOKEN},
            )
        with ending_if_it_fails(self.process):
            wait_until(self._answers, "the server to answer again", self.log)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def job(self, job_id: str) -> dict[str, Any]:
        """Return a job."""
        answer = self.call("GET", f"/api/internal/jobs/{quote(job_id, safe='')}?timelineLimit=1000")
        assert answer.status == 200, answer.body
        found: dict[str, Any] = answer.json
        return found

    def counts(self, job_id: str) -> dict[str, int]:
        """Return what a job counted by type."""
        found: dict[str, int] = self.job(job_id)["progress"].get("itemsByType", {})
        return found

    def ask(self, job_id: str, command: str) -> None:
        """Give a job a command, as an operator does."""
        answer = self.call("POST", f"/api/internal/jobs/{quote(job_id, safe='')}/command", {"command": command})
        assert answer.status == 200, answer.body


_RUN = ("-m", "scrapy", "runspider")


class Crawl:
    """A spider in a process of its own."""

    def __init__(
        self, directory: Path, arguments: list[str], environ: dict[str, str], command: tuple[str, ...] = _RUN
    ) -> None:
        """Start it; `command`: what Python runs, before the arguments."""
        directory.mkdir(exist_ok=True)
        self.log = directory / "log"
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("TALLYMARK_", "SCRAPY_"))}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "error::DeprecationWarning", *command, *arguments],
                stdout=log,
                stderr=log,
                cwd=directory,
                env={**clean, **environ},
            )

    def is_running(self) -> bool:
        """Return whether it runs."""
        return self.process.poll() is None

    def wait(self) -> str:
        """Wait for its successful end, and return its output."""
        wait_until(lambda: not self.is_running(), "the spider to end", self.log)
        code, text = self.process.returncode, self.log.read_text()
        assert code == 0, text
        assert "ScrapyDeprecationWarning" not in text, text
        return text

    def kill(self) -> None:
        """Kill it with -9."""
        self.process.kill()
        self.process.wait(_PATIENCE_SECONDS)

    def interrupt(self) -> None:
        """Ask it to stop, like a service manager."""
        self.process.send_signal(signal.SIGTERM)


@pytest.fixture
def tallymark(db_url: str, tmp_path: Path) -> Iterator[Tallymark]:
    """A server with a database that only this test has."""
    running = Tallymark(db_url, tmp_path / "tallymark.log", {})
    yield running
    running.stop()


@pytest.fixture
def crawl(tmp_path: Path) -> Iterator[Callable[..., Crawl]]:
    """Start spiders, all in one working directory and so with one spool."""
    started: list[Crawl] = []

    def start(url: str | None, site: str, *arguments: str, spider: Path | str = EXAMPLE, **settings: object) -> Crawl:
        if not isinstance(spider, Path):
            path = tmp_path / "spider.py"
            path.write_text(spider)
            spider = path
        # The example takes these two from the environment.
        environ = {"TALLYMARK_TOKEN": TOKEN, **({"TALLYMARK_URL": url} if url else {})}
        given = {"TELNETCONSOLE_ENABLED": False, "TALLYMARK_SPOOL": tmp_path / "spool", **environ, **settings}
        options = [part for name, value in given.items() for part in ("-s", f"{name}={value}")]
        started.append(Crawl(tmp_path / "crawl", [str(spider), "-a", f"start={site}", *options, *arguments], environ))
        return started[-1]

    yield start
    _end(started)


def _end(started: list[Crawl]) -> None:
    for running in started:
        if running.is_running():
            running.kill()


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Callable[..., Crawl]]:
    """Run Python programs that start Scrapy themselves, all in one working directory."""
    started: list[Crawl] = []

    def start(text: str, *arguments: str, **environ: str) -> Crawl:
        path = tmp_path / f"program{len(started)}.py"
        path.write_text(text)
        started.append(Crawl(tmp_path / "crawl", [str(path), *arguments], environ, ()))
        return started[-1]

    yield start
    _end(started)
