"""Runs the examples of docs/examples/crawlers in processes of their own, and kills them in the middle."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import pytest
from tests.client.conftest import Look, look, name
from tests.docs.crawlers.site import PATIENCE, Site
from tests.docs.pages import DOCS
from tests.web.conftest import TOKEN, Web, _database, web

__all__ = ["_database", "look", "name", "web"]

EXAMPLES = DOCS / "examples" / "crawlers"


class Example:
    """An example in a working directory: what it was started with, and what it stored."""

    def __init__(self, directory: Path, command: list[str], environ: dict[str, str]) -> None:
        self.output = directory / "stored"
        self._directory = directory
        self._command = command
        self._environ = environ
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self) -> "subprocess.Popen[bytes]":
        """Start it in a session of its own, so that all its processes can be killed."""
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("TALLYMARK_", "DATABASE_"))}
        self._directory.mkdir(exist_ok=True)
        with self.output.open("ab") as stored, (self._directory / "log").open("ab") as log:
            self._started.append(
                subprocess.Popen(
                    self._command,
                    cwd=self._directory,
                    env={**clean, **self._environ},
                    stdout=stored,
                    stderr=log,
                    start_new_session=True,
                )
            )
        return self._started[-1]

    def kill(self, process: "subprocess.Popen[bytes]") -> None:
        """Kill it, and all that it started, with -9."""
        assert process.poll() is None, self.log
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(PATIENCE)

    def run(self) -> None:
        """Run it to its end."""
        assert self.start().wait(PATIENCE) == 0, self.log

    def end(self) -> None:
        """End whatever is left of it."""
        for process in self._started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(PATIENCE)

    @property
    def log(self) -> str:
        """What it wrote to standard error."""
        return (self._directory / "log").read_text(encoding="utf-8")

    def stored(self, member: str) -> list[object]:
        """Return what the lines that it stored have under a name."""
        # A kill may have cut off a line; the next one then follows it directly.
        lines = self.output.read_text(encoding="utf-8").splitlines()
        return [json.loads(line)[member] for line in lines]


#: Makes an example: its file, and its arguments.
MakeExample = Callable[..., Example]


@pytest.fixture
def site() -> Iterator[Site]:
    """The site, at work."""
    with Site() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def urls(site: Site, tmp_path: Path) -> Path:
    """A file with the addresses of all pages."""
    path = tmp_path / "urls.txt"
    path.write_text("\n".join(site.urls()) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def example(web: Web, tmp_path: Path) -> Iterator[MakeExample]:
    """Prepares examples, each in a directory, by default the same one, and so with the same spool."""

    def make(file: str, *arguments: str, directory: str = "crawl", **environ: str) -> Example:
        given = {"TALLYMARK_URL": f"http://127.0.0.1:{web.port}", "TALLYMARK_TOKEN": TOKEN, **environ}
        # The command `tallymark` is beside this Python.
        given["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        program = {".py": sys.executable, ".sh": "sh", ".mjs": "node"}[Path(file).suffix]
        made.append(Example(tmp_path / directory, [program, str(EXAMPLES / file), *arguments], given))
        return made[-1]

    made: list[Example] = []
    yield make
    for one in made:
        one.end()


class HasCounted(Protocol):
    """Checks a job: it is finished, has these counts, and its state is what its ledger adds up to."""

    def __call__(self, counts: dict[str, int], log: object, *, processed: int | None = None) -> None:
        """Check the job. `processed`: its processedItems, if that is known; `log`: what failures show."""


@pytest.fixture
def has_counted(web: Web, look: Look, name: str) -> HasCounted:
    """Checks the job of the test."""

    def check(counts: dict[str, int], log: object, *, processed: int | None = None) -> None:
        found, in_all = look.counts(name)
        assert found == counts, log
        assert processed in {None, in_all}, log
        assert look(name)["status"] == "finished", log
        assert web.call("GET", f"/api/internal/jobs/{name}/verify").json["verified"]

    return check
