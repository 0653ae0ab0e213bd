"""Keys, ends, starts and forks that another thread, a signal or an exception interrupts."""

import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.client.test_full_disk import fill_the_disk

from tallymark.client.bell import Bell
from tallymark.client.outbox import Outbox
from tallymark.client.spool import Spool
from tallymark.client.spool_file import SpoolFile

if TYPE_CHECKING:
    from tests.client.conftest import Look, Make

AWAY: Mapping[str, Any] = {"port": 1, "retries": 0, "start_timeout": 0.1, "end_timeout": 0.1}


class _Interrupted(dict[bytes, Any]):
    """Raises an exception, once, where a count has been recorded and its key has not been claimed."""

    is_armed = True

    def setdefault(self, key: bytes, default: Any = None) -> Any:  # noqa: ANN401 - as `dict` has it
        if self.is_armed:
            self.is_armed = False
            raise KeyboardInterrupt
        return super().setdefault(key, default)


@pytest.mark.parametrize("other_thread", [False, True])
def test_a_count_that_was_interrupted_can_be_made_again_with_other_values(
    make_client: "Make", name: str, *, other_thread: bool
) -> None:
    """What is not counted was not seen; exactly one of the further calls counts, with its own values."""
    with make_client(**AWAY, every_seconds=600.0).job(name) as job:
        recorder = job._run.recorder
        assert recorder is not None
        # No other thread may fold the interrupted count before the next call.
        with recorder._lock:
            recorder._keys = _Interrupted()
            with pytest.raises(KeyboardInterrupt):
                job.advance("pages", 5, key="page 1", last_id="a")
            assert not job.seen("page 1")
            answers: list[bool] = []

            def again() -> None:
                answers.append(job.advance("pages", 7, key="page 1", last_id="b"))

            if other_thread:
                thread = threading.Thread(target=again)
                thread.start()
                thread.join()
            else:
                again()
            answers.append(job.advance("pages", 7, key="page 1", last_id="b"))
            assert answers == [True, False]
            assert job.seen("page 1")
        job.flush(timeout=0.0)
        position = recorder.progress.position
        assert (position.items_by_type, position.last_processed_id) == ({"pages": 7}, "b")


def test_keys_count_once_when_the_disk_refuses(make_client: "Make", name: str, look: "Look") -> None:
    """The keys in the file and those in memory."""
    with make_client().job(name) as job:
        counted = sum(job.advance("pages", key=f"key {number}") for number in range(100))
        assert job.flush()
        fill_the_disk(job)
        job.checkpoint("y" * 60_000)
        job.flush()
        assert job._run.recorder is not None
        assert not job._run.recorder.channel.outbox.is_durable
        counted += sum(job.advance("pages", key=f"key {number}") for number in range(200))
        assert counted == 200
    assert look.counts(name) == ({"pages": 200}, 0)


_HANDLER = """
import itertools, os, random, signal, sys
from tallymark import ProgressClient
away = {"retries": 0, "start_timeout": 0.1, "end_timeout": 0.1}
client = ProgressClient("http://127.0.0.1:1", token="t", spool=sys.argv[1], **away)
job = client.job("j").start()
def handler(*_):
    getattr(job, sys.argv[2])()
    os._exit(0)
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, random.uniform(0.02, 0.1))
for number in itertools.count():
    job.advance("pages", key=str(number))
    job.refused()
"""


@pytest.mark.parametrize("what", ["flush", "pause", "complete"])
def test_a_signal_handler_may_end_a_crawl_that_counts_with_keys(tmp_path: Path, what: str) -> None:
    """The main thread holds nothing for which the client's threads wait, at any moment."""
    for number in range(5):
        command = [sys.executable, "-c", _HANDLER, str(tmp_path / str(number)), what]
        assert subprocess.run(command, timeout=20, check=False, capture_output=True).returncode == 0


def test_what_returned_true_is_counted_while_another_thread_ends_the_job(make_client: "Make", name: str) -> None:
    """Exactly: with and without a key."""
    for run in range(20):
        job = make_client(**AWAY, spool=None).job(f"{name}_{run}").start()
        counted = [0] * 4
        began = threading.Barrier(5)

        def count(number: int, job: Any = job, counted: list[int] = counted, began: Any = began) -> None:  # noqa: ANN401
            began.wait()
            key = 0
            while job.advance("issues", key=f"{number} {key}" if number % 2 else None, last_id="x"):
                counted[number] += 1
                key += 1

        threads = [threading.Thread(target=count, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        began.wait()
        threads[0].join(0.01)
        job.complete()
        for thread in threads:
            thread.join()
        assert job._run.recorder is not None
        assert job._run.recorder.progress.position.items_by_type == {"issues": sum(counted)}


def test_a_count_that_comes_after_the_last_look_at_the_log_is_taken_back(make_client: "Make", name: str) -> None:
    """Its thread looked whether the job has ended before, and records the count after."""
    with make_client(**AWAY).job(name) as job:
        recorder = job._run.recorder
        assert recorder is not None
        job.complete()
        # As if the thread had looked before the end.
        assert recorder._old_log is not None
        late, new = recorder._old_log, recorder._log
        assert new is not late
        recorder._log, recorder.has_ended = late, False
        try:

            class Replacing(dict[bytes, Any]):
                def setdefault(self, key: bytes, default: Any = None) -> Any:  # noqa: ANN401
                    assert recorder is not None
                    recorder._log, recorder.has_ended = new, True
                    return super().setdefault(key, default)

            recorder._keys = Replacing()
            assert not job.advance("issues", key="late")
        finally:
            recorder._log, recorder.has_ended = new, True
        assert not job.seen("late")
        assert not late


def test_a_loop_that_goes_on_after_the_end_is_a_warning(
    make_client: "Make", name: str, look: "Look", caplog: pytest.LogCaptureFixture
) -> None:
    """One for the loop, however many items are lost."""
    with make_client().job(name) as job:
        for item in job.track(range(300), type="issues"):
            if item == 10:
                job.complete()
    assert look.counts(name) == ({"issues": 10}, 10)
    assert caplog.text.count("a report made after its end is dropped") == 1


@pytest.mark.parametrize(("of", "where"), [(SpoolFile, "_prepare"), (Outbox, "take_over")])
def test_a_start_that_is_interrupted_while_it_opens_the_file_leaves_it_free(
    make_client: "Make", name: str, look: "Look", monkeypatch: pytest.MonkeyPatch, of: type, where: str, tmp_path: Path
) -> None:
    """The next start has the same file at once."""
    with make_client(**AWAY).job(name) as job:
        job.advance("issues", 100)
    [path] = (tmp_path / "spool").glob("*~1.sqlite3")
    Outbox(path.with_name(path.name.replace("~1", "~2")), limit=10).close()

    def interrupt(*_args: object) -> None:
        raise KeyboardInterrupt

    client = make_client()
    with monkeypatch.context() as patch:
        patch.setattr(of, where, interrupt)
        with pytest.raises(KeyboardInterrupt) as kept:
            client.job(name).start()
    # The exception keeps the frames alive, and with them all that was not closed.
    assert kept.tb is not None
    with client.job(name) as job:
        assert job._run.recorder is not None
        assert job._run.recorder.channel.outbox.path == path
    assert look.counts(name) == ({"issues": 100}, 100)


@pytest.mark.parametrize("where", ["open", "wait"])
def test_a_start_that_is_interrupted_leaves_the_job_free(
    make_client: "Make", name: str, look: "Look", monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Before the channel is open, and while the start waits for the server."""
    client = make_client()

    def interrupt(*_args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if where == "open":
            patch.setattr(Spool, "open", interrupt)
        else:
            real = Bell.wait

            def wait(bell: Bell, seconds: float) -> None:
                if threading.current_thread() is threading.main_thread():
                    raise KeyboardInterrupt
                real(bell, seconds)

            patch.setattr(Bell, "wait", wait)
        with pytest.raises(KeyboardInterrupt):
            client.job(name).start()
    with client.job(name) as job:
        assert job.advance("issues")
    assert look.counts(name) == ({"issues": 1}, 1)
    assert look(name)["status"] == "finished"


_CALLBACK = """
import json, os, sys, time
from tallymark import ProgressClient
from tallymark.client import Answer
parent, children = os.getpid(), []
class Transport:
    def post(self, path, body, *, timeout):
        if os.getpid() != parent:
            os.write(1, b"a child sends ")
        updates = json.loads(body)
        ok = {"status": "received", "command": "pause"}
        return Answer(200, [ok] * len(updates) if isinstance(updates, list) else ok)
    def close(self):
        pass
def on_command(command):
    child = os.fork()
    if child:
        children.append(child)
    elif sys.argv[1] == "exit":
        sys.exit(3)
    elif sys.argv[1] == "raise":
        raise ValueError("in the child")
client = ProgressClient("http://x", token="t", transport=Transport())
job = client.job("j", on_command=on_command).start()
for number in range(20):
    job.stage(str(number))
    time.sleep(0.01)
give_up = time.monotonic() + 10
while not (done := os.waitpid(children[0], os.WNOHANG))[0] and time.monotonic() < give_up:
    time.sleep(0.01)
print("ended" if done[0] else "runs", os.waitstatus_to_exitcode(done[1]))
job.complete()
client.close()
"""


@pytest.mark.parametrize(("how", "code"), [("exit", 3), ("raise", 1), ("return", 0)])
def test_a_child_that_a_callback_forks_ends_and_sends_nothing(how: str, code: int) -> None:
    """It must not go on as the parent's sender."""
    done = subprocess.run(
        [sys.executable, "-c", _CALLBACK, how], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == f"ended {code}\n", done.stderr


_FORKS = """
import os, sys, threading, time
from pathlib import Path
from tallymark.client.outbox import Outbox
from tallymark.client.process import without_fork
inside, over = threading.Event(), threading.Event()
def work():
    with without_fork():
        inside.set()
        over.wait(0.3)
        over.set()
threading.Thread(target=work).start()
inside.wait()
child = os.fork()
if not child:
    Outbox(None, limit=1).close()
    os._exit(0 if over.is_set() else 1)
with without_fork():
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_fork_waits_until_no_thread_works_in_sqlite() -> None:
    """SQLite's own locks would stay locked in the child."""
    done = subprocess.run([sys.executable, "-c", _FORKS], capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("0\n", "")
