"""`tallymark run` and `tallymark count`: a command and a pipe report to a job, and work as without it."""

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.client.conftest import Look, _database, look, start_web, web
from tests.processes import end, ending
from tests.web.conftest import TOKEN, Web

__all__ = ["_database", "look", "start_web", "web"]

_PATIENCE_SECONDS = 100.0
_TALLYMARK = (sys.executable, "-c", "from tallymark.cli import main; main()")
pytestmark = pytest.mark.slow

_SLOW = (b"tallymark: job ", b"tallymark: the server ")
#: Starts `tallymark` with these arguments and with what `subprocess.Popen` takes.
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def name() -> str:
    """Return the id of a job that only this test uses."""
    return f"job_{secrets.token_hex(8)}"


@pytest.fixture
def start(web: Web, tmp_path: Path) -> Iterator[Start]:
    """Starts the command with the server in its environment; what still runs ends with the test."""
    started: list[subprocess.Popen[bytes]] = []
    environ = {
        **os.environ,
        "TALLYMARK_URL": f"http://127.0.0.1:{web.port}",
        "TALLYMARK_TOKEN": TOKEN,
        "TALLYMARK_SPOOL": str(tmp_path / "spool"),
    }

    def run(*arguments: str, **options: object) -> "subprocess.Popen[bytes]":
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        started.append(subprocess.Popen([*_TALLYMARK, *arguments], env=environ, **streams))  # type: ignore[call-overload]
        return started[-1]

    yield run
    for process in started:
        end(process)


def ended(process: "subprocess.Popen[bytes]", data: bytes = b"") -> tuple[int, bytes, bytes]:
    """Give a process its input; return how it ended, and what it wrote."""
    out, err = process.communicate(data, _PATIENCE_SECONDS)
    # A server on a busy machine may be slow to answer, which is said.
    lines = [line for line in err.splitlines(keepends=True) if not line.startswith(_SLOW)]
    return process.returncode, out, b"".join(lines)


def shell(code: str) -> tuple[str, ...]:
    """Return a command of the shell."""
    return ("--", "sh", "-c", code)


# --- run --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "status", "exits", "says"),
    [
        ("true", "finished", 0, None),
        ("exit 3", "failed", 3, "sh exited with 3"),
        ("kill -9 $$", "failed", 137, "sh was ended by SIGKILL"),
        ("kill -TERM $$", "paused", -15, None),
        ("kill -INT $$", "paused", -2, None),
        ("exit 143", "paused", 143, None),
        ("kill -PIPE $$", "failed", -13, "sh was ended by SIGPIPE"),
    ],
)
def test_the_job_ends_as_the_command_does(
    start: Start, name: str, look: Look, code: str, status: str, exits: int, says: str | None
) -> None:
    """And who waits for `tallymark run` sees what it would see of the command."""
    done, _out, err = ended(start("run", name, *shell(code)))
    assert (done, err) == (exits, b"")
    job = look(name)
    assert job["status"] == status
    assert job["progress"].get("error", {}).get("message") == says


def test_the_standard_streams_are_those_of_the_command(start: Start, name: str) -> None:
    """Byte for byte; and it finds the server, the token and the job."""
    code = "cat; echo error >&2; printf '%s %s %s' $TALLYMARK_JOB_ID $TALLYMARK_URL $TALLYMARK_TOKEN"
    data = bytes(range(256)) * 1000
    done, out, err = ended(start("run", name, *shell(code)), data)
    assert (done, err) == (0, b"error\n")
    assert out.startswith(data)
    job_id, url, token = out[len(data) :].split()
    assert (job_id.decode(), token.decode()) == (name, TOKEN)
    assert url.startswith(b"http://127.0.0.1:")


@pytest.mark.parametrize(("command", "exits"), [("/no/such", 127), ("/etc/passwd", 126)])
def test_a_command_that_cannot_be_run_fails_the_job(
    start: Start, name: str, look: Look, command: str, exits: int
) -> None:
    """With the exit status that shells have for it."""
    done, _out, err = ended(start("run", name, "--", command))
    assert done == exits
    assert err.startswith(f"tallymark: {command}: ".encode())
    assert look(name)["status"] == "failed"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_reaches_the_command_and_the_job_is_paused(
    start: Start, name: str, look: Look, number: signal.Signals
) -> None:
    """The command ends in its own way; whatever status it exits with, it was interrupted."""
    code = f"trap 'echo got; exit 5' {number.value}; echo ready; while :; do sleep 0.05; done"
    process = start("run", name, *shell(code))
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    done, out, _err = ended(process)
    assert (done, out) == (5, b"got\n")
    job = look(name)
    assert (job["status"], job["progress"]["message"]) == ("paused", f"interrupted ({number.name})")


def test_an_operator_who_pauses_the_job_ends_the_command(start: Start, web: Web, name: str, look: Look) -> None:
    """It gets SIGTERM with the first answer that carries the command."""
    web.register(name)
    asked = web.call("POST", f"/api/internal/jobs/{name}/command", {"command": "cancel"})
    assert asked.status == 200
    done, _out, _err = ended(start("run", name, "--", "sleep", "60"))
    assert done == -signal.SIGTERM
    assert look(name)["status"] == "cancelled"


def test_an_end_that_the_command_reported_itself_counts(start: Start, name: str, look: Look) -> None:
    """A crawl with a client of its own: its error says more than its exit status."""
    code = (
        "import os; from tallymark import ProgressClient\n"
        "client = ProgressClient(os.environ['TALLYMARK_URL'], token=os.environ['TALLYMARK_TOKEN'])\n"
        "with client, client.job(os.environ['TALLYMARK_JOB_ID'], worker='crawl') as job:\n"
        "    job.advance('issues', 3)\n"
        "    raise ValueError('the crawl')\n"
    )
    done, _out, err = ended(start("run", name, "--", sys.executable, "-c", code))
    assert done == 1
    assert b"ValueError: the crawl" in err
    job = look(name)
    assert job["status"] == "failed"
    assert job["progress"]["error"]["message"] == "the crawl"
    assert job["progress"]["itemsByType"] == {"issues": 3}


def test_a_command_with_a_client_of_its_own_starts_at_once_on_the_same_spool(
    start: Start, name: str, look: Look
) -> None:
    """It does not wait for the file of `tallymark run`, and nobody has to name workers."""
    code = (
        "import os; from tallymark import ProgressClient\n"
        "at, spool = os.environ['TALLYMARK_URL'], os.environ['TALLYMARK_SPOOL']\n"
        "client = ProgressClient(at, token=os.environ['TALLYMARK_TOKEN'], spool=spool)\n"
        "with client, client.job(os.environ['TALLYMARK_JOB_ID']) as job:\n"
        "    job.advance('issues', 3)\n"
    )
    done, _out, err = ended(start("run", name, "--", sys.executable, "-c", code))
    assert done == 0
    assert b"another process uses" not in err
    assert look(name)["status"] == "finished"
    assert look.counts(name) == ({"issues": 3}, 3)


@pytest.mark.parametrize(
    "report", ["job.waiting(3600, 'rate limit').__enter__()", "job.credential('expiry')"], ids=["waiting", "credential"]
)
def test_a_command_that_dies_while_it_waits_has_not_reported_its_end(
    start: Start, name: str, look: Look, report: str
) -> None:
    """The job would wait for ever."""
    code = (
        "import os; from tallymark import ProgressClient\n"
        "client = ProgressClient(os.environ['TALLYMARK_URL'], token=os.environ['TALLYMARK_TOKEN'])\n"
        f"job = client.job(os.environ['TALLYMARK_JOB_ID'], worker='crawl').start(); {report}\n"
        "assert job.flush(60); os.kill(os.getpid(), 9)\n"
    )
    done, _out, _err = ended(start("run", name, "--", sys.executable, "-c", code))
    assert done == 128 + signal.SIGKILL
    assert look(name)["status"] == "failed"


def test_the_command_runs_also_where_the_server_is_away(tmp_path: Path, name: str) -> None:
    """The reports wait in the spool."""
    arguments = ("--url", "http://127.0.0.1:1", "--token", "x", "--spool", str(tmp_path / "spool"))
    process = subprocess.Popen(
        [*_TALLYMARK, "run", name, *arguments, "--", "echo", "done"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with ending(process):
        done, out, err = ended(process)
    assert (done, out) == (0, b"done\n")
    assert err == b""
    assert len(list((tmp_path / "spool").glob("*.sqlite3"))) == 1


# --- count ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", 0),
        (b"one\ntwo\n", 2),
        (b"one\ntwo", 2),
        (b"\n\n\n", 3),
        (b"\r\n\x00\xff\n\xfe", 3),
        (bytes(range(256)) * 4000, 4001),
        (b"x" * 300_000, 1),
    ],
    ids=["empty", "lines", "no-last-end", "empty-lines", "binary", "a-megabyte", "one-long"],
)
def test_lines_are_counted_and_every_byte_is_passed_on(
    start: Start, name: str, look: Look, data: bytes, lines: int
) -> None:
    """Whatever they are."""
    done, out, err = ended(start("count", name, "--type", "rows"), data)
    assert (done, err) == (0, b"")
    assert out == data
    assert look(name)["status"] == "finished"
    assert look.counts(name) == (({"rows": lines}, lines) if lines else ({}, 0))


def test_a_line_is_passed_on_when_it_comes(start: Start, web: Web, name: str, look: Look) -> None:
    """Nobody waits for a buffer to fill; and a part of a line is passed on, too."""
    web.register(name)
    process = start("count", name, bufsize=0)
    assert process.stdin is not None
    assert process.stdout is not None
    for line in (b"one\n", b"tw", b"o\n"):
        process.stdin.write(line)
        assert process.stdout.read(len(line)) == line
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while look.counts(name)[1] < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.stdin.write(b"three\n")
    process.stdin.close()
    process.stdin = None
    assert ended(process)[:2] == (0, b"three\n")
    assert look.counts(name) == ({"lines": 3}, 3)


def test_with_a_key_each_line_counts_once_in_the_job(start: Start, name: str, look: Look) -> None:
    """Also if it is long, or no text, or has no end; all of them are passed on."""
    data = b"a\nb\na\n\xff\n\xff\n" + b"x" * 5000 + b"\n" + b"x" * 5000 + b"y\n\n\nb"
    done, out, err = ended(start("count", name, "--key", "--total", "6"), data)
    assert (done, out, err) == (0, data, b"")
    # Keys raise no processedItems: the server counts each once, whichever worker sends it.
    assert look.counts(name) == ({"lines": 6}, 0)
    assert look(name)["progress"]["totalItems"] == 6


def test_a_line_of_any_length_is_a_key(start: Start, name: str, look: Look) -> None:
    """Its parts are not put together: 100 MB without an end would be copied thousands of times."""
    process = start("count", name, "--key", stdout=subprocess.DEVNULL)
    done, _out, err = ended(process, b"x" * 100_000_000 + b"\n" + b"x" * 100_000_000)
    assert (done, err) == (0, b"")
    assert look.counts(name)[0] == {"lines": 1}


def test_an_input_that_cannot_be_read_fails_the_job(start: Start, name: str, look: Look) -> None:
    """And the message names it."""
    with Path("/proc/self/mem").open("rb") as unreadable:
        done, _out, err = ended(start("count", name, stdin=unreadable))
    assert done == 1
    assert err == b"tallymark: standard input: Input/output error\n"
    assert look(name)["status"] == "failed"


def test_a_reader_that_goes_away_pauses_the_job(start: Start, name: str, look: Look) -> None:
    """As in `... | tallymark count JOB | head -2`."""
    process = start("count", name)
    assert process.stdout is not None
    assert process.stdin is not None
    stdin = process.stdin

    def write() -> None:
        try:
            for _ in range(100_000):
                stdin.write(b"a line\n")
            stdin.close()
        except BrokenPipeError:
            pass

    writer = threading.Thread(target=write)
    writer.start()
    assert process.stdout.readline() == b"a line\n"
    process.stdout.close()
    assert process.wait(_PATIENCE_SECONDS) == 128 + signal.SIGPIPE
    writer.join()
    assert process.stderr is not None
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()
    with contextlib.suppress(BrokenPipeError):
        stdin.close()
    job = look(name)
    assert (job["status"], job["progress"]["message"]) == ("paused", "the reader of the output went away")


def test_a_signal_pauses_the_job_of_a_pipe(start: Start, name: str, look: Look) -> None:
    """What was passed on counts."""
    process = start("count", name, bufsize=0)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"one\ntwo\n")
    assert process.stdout.read(8) == b"one\ntwo\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(_PATIENCE_SECONDS) == -signal.SIGTERM
    process.communicate()
    assert look(name)["status"] == "paused"
    assert look.counts(name) == ({"lines": 2}, 2)


def test_an_output_that_cannot_be_written_fails_the_job(start: Start, name: str, look: Look) -> None:
    """A full disk."""
    with Path("/dev/full").open("wb") as full:
        done, _out, err = ended(start("count", name, stdout=full), b"one\n")
    assert done == 1
    assert err == b"tallymark: standard output: No space left on device\n"
    assert look(name)["status"] == "failed"
    assert look.counts(name) == ({}, 0)


def test_an_input_that_may_only_be_written_fails_the_job(start: Start, name: str, look: Look, tmp_path: Path) -> None:
    """A file that is open for writing only stands for a bad disk."""
    with (tmp_path / "file").open("wb") as file:
        done, _out, err = ended(start("count", name, stdin=file), b"")
    assert (done, err) == (1, b"tallymark: standard input: Bad file descriptor\n")
    assert look(name)["status"] == "failed"


@pytest.mark.parametrize(
    "arguments",
    [
        ("run",),
        ("run", "j"),
        ("run", "", "--", "true"),
        ("run", "j", "--worker", "w" * 101, "--", "true"),
        ("count",),
        ("count", "j", "--total", "x"),
        ("count", "j", "--total", str(2**53)),
        ("count", "j", "--type", "x" * 101),
        ("count", "j", "--type", ""),
    ],
)
def test_wrong_arguments_are_named(start: Start, arguments: tuple[str, ...]) -> None:
    """In one line, with exit status 2, before anything is passed on."""
    done, out, err = ended(start(*arguments), b"one\n")
    assert (done, out) == (2, b"")
    assert err.startswith(b"tallymark: ")
    assert err.count(b"\n") == 1


def test_the_help_says_how_they_exit(start: Start) -> None:
    """And which options there are."""
    for command, says in (("run", b"Exits as COMMAND does"), ("count", b"Exits 0 at the end of the input")):
        done, out, _err = ended(start(command, "--help"))
        assert done == 0
        assert says in out
        assert all(option in out for option in (b"--url", b"--token", b"--spool", b"--worker"))
