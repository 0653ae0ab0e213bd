"""`tallymark up`, as people run it: started, tried, stopped, killed."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tallymark.server.cluster import bin_dir
from tallymark.server.ports import some_free_port
from tallymark.server.web_address import running_web_url

pytestmark = pytest.mark.slow

Start = Callable[..., "Up"]

_TALLYMARK = (sys.executable, "-c", "from tallymark.cli import main; main()")
_GIVEN_TOKEN = "it's-ours"


class Up:
    """A running `tallymark up`, and its output."""

    def __init__(self, data_dir: Path, port: int, environ: dict[str, str]) -> None:
        """Start it, and wait until it says that it runs."""
        self.port = port
        self.process = subprocess.Popen(
            [*_TALLYMARK, "up", "--data", str(data_dir), "--port", str(port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **environ},
        )
        assert self.process.stdout is not None
        self.lines: list[str] = []
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if line.startswith("curl") and "progress" in line:
                break
        # Listed now: after a kill of their parent they could not be found as its children.
        self.family = psutil.Process(self.process.pid).children(recursive=True) if self.process.poll() is None else []

    @property
    def curls(self) -> list[str]:
        """The printed lines to paste into a shell."""
        return [line for line in self.lines if line.startswith("curl")]

    def end(self, signal_number: int, *, within: float = 30) -> int:
        """Send a signal, and return the exit code."""
        self.process.send_signal(signal_number)
        return self.process.wait(within)

    def left(self) -> list[psutil.Process]:
        """The processes that still run ten seconds after it ended."""
        return psutil.wait_procs(self.family, timeout=10)[1]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts `tallymark up` on one data directory; ends what still runs when the test ends."""
    started: list[Up] = []

    def run(port: int | None = None, **environ: str) -> Up:
        port = port or some_free_port("127.0.0.1")
        started.append(Up(tmp_path / "data", port, environ))
        return started[-1]

    yield run
    for up in started:
        if up.process.poll() is None:
            up.process.terminate()
            up.process.wait()
        assert up.process.stdout is not None
        up.process.stdout.close()


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of the user who runs the tests must not reach this server."""
    for name in [name for name in os.environ if name.startswith(("DATABASE_", "CRAWLER_", "TALLYMARK_"))]:
        monkeypatch.delenv(name)


def _paste(line: str) -> tuple[dict[str, object], int]:
    """Run a line in bash as it was printed; return the answer's body and status."""
    done = subprocess.run(["/bin/bash", "-c", line], capture_output=True, text=True, check=True)
    body, status = done.stdout.strip().rsplit("\n", 1)
    return json.loads(body), int(status)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_the_two_printed_lines_work_when_pasted_and_count_once(start: Start) -> None:
    """The first registers a job (201), the second reports on it (200); pasted again, nothing is counted twice."""
    up = start()
    assert len(up.curls) == 2, up.lines
    register, report = up.curls
    assert _paste(register)[1] == 201
    answer, status = _paste(report)
    assert (status, answer["status"], answer["duplicate"]) == (200, "received", False)
    again, status = _paste(report)
    assert (status, again["duplicate"], again["seq"]) == (200, True, answer["seq"])
    assert _paste(register)[1] == 200


def test_other_commands_find_the_web_server_for_as_long_as_it_runs(start: Start, tmp_path: Path) -> None:
    """Also when it is killed, and cannot say that it ends."""
    assert running_web_url(tmp_path / "data") is None
    for number in (signal.SIGTERM, signal.SIGKILL):
        up = start()
        assert running_web_url(tmp_path / "data") == f"http://127.0.0.1:{up.port}"
        up.end(number)
        assert running_web_url(tmp_path / "data") is None
        assert up.left() == []


def test_the_printed_line_opens_the_database_and_has_no_password_in_it(start: Start, tmp_path: Path) -> None:
    """Pasted into a shell without any setting, it opens psql on the database."""
    up = start()
    [line] = [line.removeprefix("SQL:").strip() for line in up.lines if line.startswith("SQL:")]
    assert (tmp_path / "data" / "password").read_text().strip() not in "".join(up.lines)
    path = os.pathsep.join([str(bin_dir()), str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["/bin/bash", "-c", f"{line} -XAtc 'SELECT count(*) FROM tallymark.job'"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": path},
    )
    assert (done.stdout, done.stderr) == ("0\n", ""), line


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything_and_is_no_failure(start: Start, signal_number: int) -> None:
    """Ctrl-C and a service manager's stop end all processes, in order, with exit code 0."""
    up = start()
    assert len(up.family) >= 3, "PostgreSQL, granian and its worker"
    assert up.end(signal_number) == 0
    assert up.left() == []
    assert not _listens(up.port)


def test_ctrl_c_in_the_terminal_reaches_only_us(start: Start) -> None:
    """The children are in sessions of their own: the terminal's signal cannot stop the database before the web."""
    up = start()
    ours = os.getsid(up.process.pid)
    assert ours not in {os.getsid(child.pid) for child in up.family if child.is_running()}


def test_after_a_kill_nothing_runs_on_and_the_next_start_has_the_job(start: Start) -> None:
    """After kill -9 no process is left, no port is taken and no update is lost; the token stays the same."""
    up = start()
    register, report = up.curls
    _paste(register)
    seq = _paste(report)[0]["seq"]
    up.end(signal.SIGKILL)

    again = start(up.port)
    assert len(again.curls) == 2, again.lines
    assert up.left() == []
    answer, status = _paste(report)
    assert (status, answer["duplicate"], answer["seq"]) == (200, True, seq)


def test_a_killed_web_server_ends_everything_with_a_failure(start: Start) -> None:
    """Half a system must not look like a running one."""
    up = start()
    granian = next(child for child in up.family if "granian" in child.cmdline())
    granian.kill()
    assert up.process.wait(30) == 1
    assert up.left() == []


def test_a_second_signal_hurries(start: Start) -> None:
    """A request may hold the web server for its whole grace; a second Ctrl-C does not wait for it."""
    up = start()
    # A request whose body never comes.
    with socket.create_connection(("127.0.0.1", up.port), timeout=60) as held:
        token = next(line.split()[1] for line in up.lines if line.startswith("Token:"))
        held.sendall(
            b"POST /api/internal/jobs/progress HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            + f"Authorization: Bearer {token}\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n".encode()
        )
        assert held.recv(100).startswith(b"HTTP/1.1 100 "), "it waits for the body"
        up.process.send_signal(signal.SIGINT)
        _wait_until_refused(up.port)
        began = time.monotonic()
        assert up.end(signal.SIGINT) == 0
        assert time.monotonic() - began < 5
    assert up.left() == []


def _wait_until_refused(port: int) -> None:
    """Wait until the web server accepts no connections any more."""
    with suppress(ConnectionRefusedError):
        while True:
            socket.create_connection(("127.0.0.1", port), timeout=60).close()
            time.sleep(0.05)


def test_variables_for_another_server_change_nothing(start: Start) -> None:
    """What libpq takes from the environment is meant for connections to servers of the user's own."""
    up = start(
        PGSSLMODE="require",
        PGSERVICE="none",
        PGHOSTADDR="192.0.2.1",
        PGDATABASE="none",
        PGOPTIONS="-c default_transaction_read_only=on",
        PGTARGETSESSIONATTRS="standby",
        PGCLIENTENCODING="LATIN1",
        PGDATESTYLE="none",
    )
    register, report = up.curls
    assert _paste(register)[1] == 201
    assert _paste(report)[1] == 200
    assert up.end(signal.SIGINT) == 0


def test_a_taken_port_is_reported_at_once(start: Start, tmp_path: Path) -> None:
    """The report comes before anything is created or started."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        up = start(port)
        assert up.process.wait(10) == 1
    assert len(up.lines) == 1
    assert re.match(rf"tallymark: port {port} on 127\.0\.0\.1 is taken", up.lines[0])
    assert not (tmp_path / "data").exists()


def test_a_second_one_on_the_same_data_is_refused_and_names_the_first(start: Start) -> None:
    """The first one is not affected."""
    first = start()
    second = start()
    assert second.process.wait(10) == 1
    assert f"is in use by process {first.process.pid}" in second.lines[-1]
    assert _paste(first.curls[0])[1] == 201


def test_a_token_that_was_given_is_used_and_not_replaced(start: Start, tmp_path: Path) -> None:
    """CRAWLER_API_TOKEN is used instead of a generated one; quotes in it survive the paste."""
    up = start(CRAWLER_API_TOKEN=_GIVEN_TOKEN)
    assert f"Token: {_GIVEN_TOKEN}" in up.lines
    assert _paste(up.curls[0])[1] == 201
    assert not (tmp_path / "data" / "token").exists()


def test_bad_settings_are_one_line_that_names_all_of_them(start: Start) -> None:
    """Two mistyped settings are both named."""
    up = start(TALLYMARK_POOL_SIZE="many", TALLYMARK_LOG_FORMAT="xml")
    assert up.process.wait(10) == 1
    [line] = up.lines
    assert line == (
        "tallymark: bad settings: TALLYMARK_POOL_SIZE must be a whole number from 1 to 1000; "
        "TALLYMARK_LOG_FORMAT must be one of console, json"
    )
