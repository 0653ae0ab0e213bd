"""Crawls in a real terminal: what they print is whole, and the bars leave no rubbish."""

import os
import re
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.processes import ending
from tests.web.conftest import Web

if TYPE_CHECKING:
    from tests.client.conftest import Look

_PATIENCE_SECONDS = 60.0
_CRAWL = """
import json, sys, time
from tallymark import ProgressClient
client = ProgressClient(sys.argv[1], token="crawler-token", spool=sys.argv[2])
with client, client.job(sys.argv[3]) as job:
    for i in job.track(range(200), type="issues"):
        print(json.dumps(i))
        time.sleep(0.002)
"""
_NESTED = """
import sys, time
from tallymark import ProgressClient
client = ProgressClient(sys.argv[1], token="crawler-token", spool=sys.argv[2])
with client, client.job(sys.argv[3]) as job:
    for page in job.track(range(6), type="pages"):
        for i in job.track(range(50), type="issues"):
            time.sleep(0.002)
        print("page", page, flush=True)
    began = time.monotonic()
    for i in job.track(range(100), type="outer"):
        for j in job.track(range(20), type="inner"): pass
print("took", time.monotonic() - began)
"""


class InTerminal:
    """A Python program whose standard error, or all of whose streams, are a terminal."""

    def __init__(
        self, code: str, *arguments: str, stdout: int | None = None, close: str = "", term: str = "xterm"
    ) -> None:
        """Start it. `stdout`: instead of the terminal; `close`: redirections of a shell."""
        self._master, slave = os.openpty()
        command = [sys.executable, "-c", code, *arguments]
        if close:
            command = ["/bin/sh", "-c", f'exec "$@" {close}', "sh", *command]
        hidden = ("COLUMNS", "LINES", "NO_COLOR", "PYTHONUNBUFFERED")
        environ = {name: value for name, value in os.environ.items() if name not in hidden}
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave if stdout is None else stdout,
            stderr=slave,
            env={**environ, "TERM": term, "PYTHONIOENCODING": "utf-8"},
        )
        os.close(slave)

    def end(self) -> str:
        """Wait for its end; return what the terminal got."""
        written = b""
        give_up = time.monotonic() + _PATIENCE_SECONDS
        with ending(self.process):
            while time.monotonic() < give_up:
                if select.select([self._master], [], [], 0.1)[0]:
                    try:
                        written += os.read(self._master, 65536)
                    except OSError:
                        break
                elif self.process.poll() is not None:
                    break
            self.process.wait(_PATIENCE_SECONDS)
        os.close(self._master)
        return written.decode()


def lines_of(written: str) -> list[str]:
    """Return the lines that stay on the screen. A line is drawn again from its beginning, and nothing else is drawn."""
    assert set(re.findall(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", written)) <= {"\x1b[K"}, "the cursor only goes back in its line"
    shown = []
    for line in written.replace("\r\n", "\n").split("\n"):
        text = ""
        for part in line.split("\r"):
            # Drawn over what was there; the end of the picture erases the rest.
            text = part.removesuffix("\x1b[K") + (text[len(part) :] if "\x1b[K" not in part else "")
        shown.append(text.replace("\x1b[K", "").rstrip())
    return shown


@pytest.mark.slow
@pytest.mark.parametrize("close", ["", "2>&-", ">&-", "2>&- >&-", "<&- 2>&-"])
def test_what_a_crawl_prints_is_in_its_file_and_not_in_the_terminal(
    web: Web, tmp_path: Path, name: str, look: "Look", close: str
) -> None:
    """`python crawl.py > items.jsonl` in a terminal; also where streams are closed."""
    out = tmp_path / "items.jsonl"
    with out.open("wb") as file:
        arguments = (f"http://127.0.0.1:{web.port}", str(tmp_path / "spool"), name)
        running = InTerminal(_CRAWL, *arguments, stdout=file.fileno(), close=close)
        written = running.end()
    assert running.process.returncode == 0, written
    expected = "" if ">&-" in close.replace("2>&-", "") else "".join(f"{number}\n" for number in range(200))
    assert out.read_text() == expected
    assert look.counts(name) == ({"issues": 200}, 200)
    assert look(name)["status"] == "finished"
    if not close:
        assert "200/200" in lines_of(written)[0]


@pytest.mark.slow
def test_a_reader_that_goes_away_ends_the_crawl_as_it_would_have(
    web: Web, tmp_path: Path, name: str, look: "Look"
) -> None:
    """`python crawl.py | head -3`: `print` raises, as without the client, and the job has an end."""
    shell = 'out=$("$@" | head -3); echo "$out"'
    code = _CRAWL.replace("print(json.dumps(i))", "print(json.dumps(i), flush=True)")
    arguments = (f"http://127.0.0.1:{web.port}", str(tmp_path / "spool"), name)
    done = subprocess.run(
        ["/bin/sh", "-c", shell, "sh", sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=_PATIENCE_SECONDS,
    )
    assert done.stdout == "0\n1\n2\n"
    assert "BrokenPipeError" in done.stderr
    job = look(name)
    assert job["status"] == "failed"
    assert job["progress"]["error"]["type"] == "BrokenPipeError"
    assert job["progress"]["itemsByType"]["issues"] >= 3


@pytest.mark.slow
def test_prints_stay_and_bars_of_finished_inner_loops_do_not(web: Web, tmp_path: Path, name: str, look: "Look") -> None:
    """In a terminal that shows both: each print is there, and one line is left of the loop."""
    arguments = (f"http://127.0.0.1:{web.port}", str(tmp_path / "spool"), name)
    running = InTerminal(_NESTED, *arguments)
    lines = lines_of(running.end())
    assert running.process.returncode == 0, lines
    text = "\n".join(lines)
    # A print begins where the bar ends: the line of both stays.
    assert [int(number) for number in re.findall(r"page (\d)$", text, re.MULTILINE)] == list(range(6))
    ended = [line for line in lines if "page " not in line and "/" in line]
    assert len([line for line in ended if line.startswith("pages ")]) == 1, text
    assert "6/6" in ended[0]
    assert not [line for line in ended if line.startswith(("issues", "inner"))], text
    assert look.counts(name)[0] == {"pages": 6, "issues": 300, "outer": 100, "inner": 2000}


@pytest.mark.slow
def test_a_dumb_terminal_gets_no_bar(web: Web, tmp_path: Path, name: str) -> None:
    """It cannot draw a line again."""
    arguments = (f"http://127.0.0.1:{web.port}", str(tmp_path / "spool"), name)
    running = InTerminal(_CRAWL, *arguments, term="dumb")
    assert running.end().split() == [str(number) for number in range(200)]
