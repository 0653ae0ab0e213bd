"""SIGTERM, SIGHUP and interrupts: the job is paused, nothing is lost, and the process ends as it would have."""

import asyncio
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.web.conftest import Web

from tallymark import ProgressClient

if TYPE_CHECKING:
    from tests.client.conftest import Look, Make

SIGNALLED = Path(__file__).with_name("signalled.py")
_PATIENCE_SECONDS = 60.0


@contextmanager
def crawling(url: str, tmp_path: Path, name: str, way: str) -> Iterator[subprocess.Popen[str]]:
    """Start a crawl, and wait until it counts."""
    arguments = [url, str(tmp_path / "spool"), name, way, str(tmp_path / f"{name}.out")]
    process = subprocess.Popen(
        [sys.executable, str(SIGNALLED), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", process.communicate()[1]
        yield process
    finally:
        process.kill()
        process.communicate()


def check(look: "Look", tmp_path: Path, name: str, why: str = "interrupted (SIGTERM)") -> int:
    """Check that the job is paused, and that count, cursor and the crawl's own file agree; return the count."""
    job = look(name)
    assert job["status"] == "paused"
    assert job["progress"]["message"] == why
    by_type, processed = look.counts(name)
    lines = [int(line) for line in (tmp_path / f"{name}.out").read_text().split()]
    assert by_type == {"issues": processed}
    assert job["progress"]["lastProcessedId"] == str(processed)
    # The item at hand may be in the file and not count yet.
    assert lines[:processed] == list(range(1, processed + 1))
    assert len(lines) - processed in {0, 1}
    return processed


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
@pytest.mark.parametrize("way", ["advance", "track", "swallowing", "asyncio"])
def test_a_signal_pauses_the_job_and_ends_the_process_as_by_default(
    web: Web, tmp_path: Path, name: str, look: "Look", way: str, number: signal.Signals
) -> None:
    """Blocks are left and files are whole, and who waits for the process sees that the signal ended it."""
    with crawling(f"http://127.0.0.1:{web.port}", tmp_path, name, way) as process:
        process.send_signal(number)
        assert process.wait(_PATIENCE_SECONDS) == -number
        _out, err = process.communicate()
    assert "Traceback" not in err
    assert check(look, tmp_path, name, f"interrupted ({number.name})") > 0


@pytest.mark.slow
def test_a_crawl_in_another_thread_is_paused_and_ended_too(web: Web, tmp_path: Path, name: str, look: "Look") -> None:
    """The main thread waits for a thread that gets no signal: after five seconds a thread of the client ends both."""
    with crawling(f"http://127.0.0.1:{web.port}", tmp_path, name, "thread") as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(_PATIENCE_SECONDS) == -signal.SIGTERM
    job = look(name)
    assert job["status"] == "paused"
    processed = job["progress"]["processedItems"]
    assert job["progress"]["lastProcessedId"] == str(processed)
    lines = (tmp_path / f"{name}.out").read_text().split()
    assert [int(line) for line in lines[:processed]] == list(range(1, processed + 1)), "what counts is in the file"


@pytest.mark.slow
def test_the_crawls_own_handler_is_called_and_decides_when_it_ends(
    web: Web, tmp_path: Path, name: str, look: "Look"
) -> None:
    """It leaves the block in an orderly way, so the process ends with 0; the job is paused nevertheless."""
    with crawling(f"http://127.0.0.1:{web.port}", tmp_path, name, "own_handler") as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(_PATIENCE_SECONDS) == 0
    check(look, tmp_path, name)


def _many(web: Web, tmp_path: Path, look: "Look", number: int, seed: int) -> None:
    chance = random.Random(seed)
    for one in range(number):
        name, way = f"signalled_{seed}_{one}", chance.choice(["advance", "track", "asyncio"])
        with crawling(f"http://127.0.0.1:{web.port}", tmp_path, name, way) as process:
            time.sleep(chance.uniform(0, 0.2))
            process.send_signal(signal.SIGTERM)
            if chance.random() < 0.3:
                # Some supervisors are impatient.
                time.sleep(chance.uniform(0, 0.05))
                process.send_signal(signal.SIGTERM)
            assert process.wait(_PATIENCE_SECONDS) == -signal.SIGTERM, process.communicate()
        check(look, tmp_path, name)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_sigterm_at_any_moment_pauses_the_job(web: Web, tmp_path: Path, look: "Look") -> None:
    """No count is lost; some get the signal twice."""
    _many(web, tmp_path, look, 6, seed=6)


@pytest.mark.deep
@pytest.mark.timeout(1800)
def test_two_hundred_sigterms_at_random_moments_pause_two_hundred_jobs(web: Web, tmp_path: Path, look: "Look") -> None:
    """The same, more often."""
    _many(web, tmp_path, look, 200, seed=200)


_MOMENTS = """
import os, signal, sys
from tallymark import ProgressClient
import tallymark.client.job as job_module

moment = int(sys.argv[2])
lines = 0
def trace(frame, event, _argument):
    global lines
    if not frame.f_code.co_filename.endswith(("job.py", "run.py", "loops.py", "client.py", "tracking.py")):
        return None
    frame.f_trace_opcodes = True
    if event == "opcode":
        lines += 1
        if lines == moment:
            signal.raise_signal(getattr(signal, sys.argv[3]))
    return trace

client = ProgressClient("http://127.0.0.1:1", token="x", spool=sys.argv[1], retries=0, start_timeout=0, end_timeout=0)
job = client.job("j")
# The whole run: the start, a loop, a count, the end.
sys.settrace(trace)
with client:
    with job:
        for number in job.track([1, 2], type="issues", id=str, bar=False):
            pass
        job.advance("issues", last_id=3)
sys.settrace(None)
print("all", lines)
"""


def _status(spool: Path) -> list[str]:
    import sqlite3
    from contextlib import closing

    found = []
    for path in spool.glob("*.sqlite3"):
        with closing(sqlite3.connect(path)) as database:
            found += [
                json.loads(text)["status"] for (text,) in database.execute("SELECT payload FROM waiting ORDER BY seq")
            ]
    return found


@pytest.mark.deep
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name_of_signal", ["SIGTERM", "SIGINT"])
def test_a_signal_at_any_line_of_a_run_leaves_no_job_running(tmp_path: Path, name_of_signal: str) -> None:
    """From the first line of the start to the last of the end: what was started has an end."""
    whole = subprocess.run(
        [sys.executable, "-c", _MOMENTS, str(tmp_path / "whole"), "-1", name_of_signal],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    moments = int(whole.stdout.split()[1])
    assert moments > 300
    for moment in range(1, moments, max(moments // 200, 1)):
        spool = tmp_path / str(moment)
        done = subprocess.run(
            [sys.executable, "-c", _MOMENTS, str(spool), str(moment), name_of_signal],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        found = _status(spool)
        assert not found or found[-1] in {"paused", "completed"}, (moment, found, done.stderr)
        number = getattr(signal, name_of_signal)
        assert done.returncode in {-number, 0}, (moment, done)


_CUT_SHORT = """
import sys, threading
from tallymark import ProgressClient

client = ProgressClient("http://127.0.0.1:1", token="x", spool=sys.argv[1], retries=0, start_timeout=0, end_timeout=0)
held, free = threading.Event(), threading.Event()
def hold():
    with job._run.started().channel.outbox.file.transaction():
        held.set()
        free.wait()
def trace(frame, event, _argument):
    if frame.f_code.co_name == "trackers" and frame.f_back.f_code.co_name == "_say_end":
        raise KeyboardInterrupt
with client:
    with client.job("j") as job:
        job.advance("issues")
        threading.Thread(target=hold, daemon=True).start()
        held.wait()
        timer = threading.Timer(0.3, free.set)
        timer.daemon = True
        timer.start()
        sys.settrace(trace)
"""


def test_an_end_whose_report_an_interrupt_cuts_short_is_in_the_spool_when_the_client_has_closed(tmp_path: Path) -> None:
    """Also where the disk is slow, and the client waits for no server."""
    command = [sys.executable, "-c", _CUT_SHORT, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert "KeyboardInterrupt" in done.stderr
    assert _status(tmp_path)[-1] == "completed", done.stderr


def test_handlers_are_there_while_a_job_is_open_and_restored_after_the_last(make_client: "Make", name: str) -> None:
    """Also after an exception; and one that the crawl sets meanwhile stays."""

    def mine(_number: int, _frame: object) -> None:
        pass

    before = signal.getsignal(signal.SIGTERM)
    client = make_client(port=1, retries=0, start_timeout=0.1, end_timeout=0.1)
    with client.job(f"{name}_1"):
        ours = signal.getsignal(signal.SIGTERM)
        assert ours != before
        with client.job(f"{name}_2"):
            assert signal.getsignal(signal.SIGTERM) == ours
        assert signal.getsignal(signal.SIGTERM) == ours
    assert signal.getsignal(signal.SIGTERM) == before
    with pytest.raises(ValueError, match="broken"), client.job(f"{name}_3"):
        raise ValueError("broken")
    assert signal.getsignal(signal.SIGTERM) == before
    try:
        with client.job(f"{name}_4"):
            signal.signal(signal.SIGTERM, mine)
        assert signal.getsignal(signal.SIGTERM) is mine
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with client.job(f"{name}_5"):
            assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_signals_are_left_alone_where_the_crawler_says_so(make_client: "Make", name: str) -> None:
    """`on_sigterm=None`; another value is refused."""
    before = signal.getsignal(signal.SIGTERM)
    with make_client(port=1, retries=0, start_timeout=0.1, end_timeout=0.1, on_sigterm=None).job(name):
        assert signal.getsignal(signal.SIGTERM) == before
    with pytest.raises(ValueError, match="on_sigterm must be"):
        ProgressClient("http://127.0.0.1:1", token="x", on_sigterm="stop")  # type: ignore[arg-type]


class Cancelled(BaseException):
    """As trio has it."""


def leave(client: ProgressClient, job: str, error: BaseException) -> None:
    """Leave the block of a job with an exception."""
    with pytest.raises(type(error)), client.job(job):
        raise error


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (SystemExit(), "SystemExit"),
        (SystemExit(0), "SystemExit"),
        (SystemExit(143), "SIGTERM"),
        (SystemExit(130), "SIGINT"),
        (SystemExit(129), "SIGHUP"),
        (asyncio.CancelledError(), "CancelledError"),
        (GeneratorExit(), "GeneratorExit"),
        (Cancelled(), "Cancelled"),
        (BaseExceptionGroup("all", [KeyboardInterrupt(), asyncio.CancelledError()]), "BaseExceptionGroup"),
        (BaseExceptionGroup("all", [BaseExceptionGroup("in", [SystemExit(143)])]), "BaseExceptionGroup"),
    ],
    ids=lambda value: repr(value)[:40] if isinstance(value, BaseException) else "",
)
def test_an_interrupt_of_any_kind_pauses_the_job(
    make_client: "Make", name: str, look: "Look", error: BaseException, why: str
) -> None:
    """It has not failed, and goes on later."""
    leave(make_client(), name, error)
    job = look(name)
    assert (job["status"], job["progress"]["message"]) == ("paused", f"interrupted ({why})")


def test_what_was_said_of_an_earlier_run_is_not_said_of_the_next(make_client: "Make", name: str, look: "Look") -> None:
    """A job that was interrupted once, went on and finished is not called interrupted."""
    leave(make_client(), name, KeyboardInterrupt())
    with make_client().job(name):
        assert look(name)["progress"]["message"] == ""
    job = look(name)
    assert (job["status"], job["progress"]["message"]) == ("finished", "")


@pytest.mark.parametrize(
    "error",
    [SystemExit(1), SystemExit("no config"), BaseExceptionGroup("some", [KeyboardInterrupt(), ValueError("v")])],
    ids=lambda error: repr(error)[:40],
)
def test_an_exit_with_an_error_and_a_group_with_one_fail_the_job(
    make_client: "Make", name: str, look: "Look", error: BaseException
) -> None:
    """Among the interrupts there is a failure."""
    leave(make_client(), name, error)
    assert look(name)["status"] == "failed"


def test_an_interrupt_before_the_jobs_block_is_entered_pauses_it_too(
    make_client: "Make", name: str, look: "Look"
) -> None:
    """The client's block is left by it, with the job open."""

    def crawl() -> None:
        with make_client() as client:
            client.job(name).start()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        crawl()
    assert look(name)["status"] == "paused"
