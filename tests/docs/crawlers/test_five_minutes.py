"""docs/crawlers.md: the first five minutes, as a reader types them, with a kill in the middle."""

import http.client
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.docs.pages import fenced, read, section
from tests.web.conftest import TOKEN, Web
from tests.web.watching import wait_until

from tallymark.server.ports import some_free_port

if TYPE_CHECKING:
    from tests.client.conftest import Look

pytestmark = pytest.mark.slow

#: Starts a script of the shell.
Start = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def start(web: Web, tmp_path: Path) -> Iterator[Start]:
    """Starts scripts in one directory; whatever they started ends with the test."""
    started: list[subprocess.Popen[str]] = []
    environ = {**os.environ, "DATABASE_URL": web.database_url}

    def run(script: str) -> "subprocess.Popen[str]":
        command = ["bash", "-euc", script]
        started.append(
            subprocess.Popen(
                command,
                cwd=tmp_path,
                env=environ,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        )
        return started[-1]

    yield run
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)


def test_the_first_five_minutes(web: Web, start: Start, tmp_path: Path, name: str, look: "Look") -> None:
    """The pages are made, the crawl is killed and started again, and there are 300 pages."""
    part = section(read("docs/crawlers.md"), "## In five minutes").partition("### ")[0]
    address, site, run, jobs = fenced(part, "sh")
    [crawler] = fenced(part, "python")
    (tmp_path / "crawl.py").write_text(
        crawler.replace("my_crawl", name).replace("time.sleep(0.1)", "time.sleep(0.01)"), encoding="utf-8"
    )
    (tmp_path / ".venv").symlink_to(sys.prefix)
    port = some_free_port("127.0.0.1")
    address = address.replace("http://127.0.0.1:8000", f"http://127.0.0.1:{web.port}").replace("=...", f"={TOKEN}")
    made = start(f"{address}\n{site.replace('9000', str(port))}\nwait")
    wait_until(lambda: (tmp_path / "site.log").exists() and _answers(port))
    assert made.poll() is None
    killed = start(f"{address}\nexec {run}")

    def has_begun() -> bool:
        assert killed.poll() is None, killed.communicate()
        return web.call("GET", f"/api/internal/jobs/{name}").status == 200 and look.counts(name)[1] > 50

    wait_until(has_begun)
    killed.kill()
    assert killed.wait(60) == -signal.SIGKILL
    assert look.counts(name)[1] < 300
    again = start(f"{address}\n{run}")
    said, _ = again.communicate(timeout=60)
    assert (again.returncode, said) == (0, "")
    assert look.counts(name) == ({"pages": 300}, 300)
    shown = start(f"{address}\n{jobs}")
    said, _ = shown.communicate(timeout=60)
    assert shown.returncode == 0, said
    assert f"{name[:12]}" in said


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", "/300.html")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
