"""An exception at any line, a Ctrl-C, a fork, a disk that hangs: counts and their cursor stay together."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import pytest
from tests.client.interrupted import WAYS, rounds
from tests.web.conftest import TOKEN, Web

from tallymark.client.channel import Channel
from tallymark.client.outbox import Outbox
from tallymark.client.progress import Progress
from tallymark.client.recorder import Recorder
from tallymark.client.records import Position
from tallymark.client.resume import Habits
from tallymark.client.updates import prepare

if TYPE_CHECKING:
    from tests.client.conftest import Look, Make

FORKING = Path(__file__).with_name("forking.py")
#: Where an exception is raised. A signal's exception never reaches the outbox: only the client's threads write there.
PARTS = {
    *("job.py", "recorder.py", "progress.py", "updates.py", "checks.py", "tracking.py"),
    *("run.py", "counting.py", "loops.py", "delivery.py", "begun.py", "frontier.py", "keys.py"),
}
HABITS = Habits(every_items=3, every_seconds=0.01, max_bytes=9000, start_timeout=0.1, end_timeout=0.1)


class Thrown(BaseException):
    """An exception that can come anywhere, as KeyboardInterrupt does."""


def throw_at(number: int, what: Callable[[], object]) -> bool:
    """Call a function, and raise an exception at one of its bytecodes; return whether it has that many."""
    left = number

    def trace(frame: FrameType, event: str, _arg: object) -> Any:  # noqa: ANN401 - as `sys.settrace` has it
        nonlocal left
        if Path(frame.f_code.co_filename).name not in PARTS:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            left -= 1
            if left == 0:
                raise Thrown
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        what()
    except Thrown:
        return True
    finally:
        sys.settrace(before)
    return False


def make_recorder() -> Recorder:
    """Make a recorder without a client: nothing is written unless the test asks for it."""
    return Recorder.resume(Channel("j", None, Outbox(None, limit=10_000)), Position("j"), HABITS)


def check(recorder: Recorder) -> int:
    """Check that counts, cursor and the outbox's position agree; return the cursor."""
    outbox = recorder.channel.outbox
    rows = {row.update_id: json.loads(row.text) for row in outbox.head(10_000, 10**9)}
    counted = sum(row.get("itemsByType", {}).get("issues", 0) for row in rows.values())
    cursors = [int(row["lastProcessedId"]) for row in rows.values() if "lastProcessedId" in row]
    position = outbox.position()
    assert position is not None
    cursor = int(position.last_processed_id or 0)
    assert counted == position.items_by_type.get("issues", 0) == position.processed_items == cursor
    assert max(cursors, default=0) == cursor
    return cursor


@pytest.mark.parametrize("keyed", [False, True])
def test_an_exception_at_any_bytecode_of_advance_comes_before_it_or_after_it(
    make_client: "Make", name: str, *, keyed: bool
) -> None:
    """The count and its cursor are recorded once or not at all; the next call works, even with the same key."""
    with make_client(port=1, retries=0, start_timeout=0.1, end_timeout=0.1).job(name) as job:
        recorder = job._run.recorder
        assert recorder is not None
        number = thrown = 0
        going_on = True
        while going_on:
            number, thrown = number + 1, thrown + 1

            def advance(number: int = number) -> bool:
                return job.advance("issues", 1, last_id=number, key=str(number) if keyed else None)

            going_on = throw_at(thrown, advance)
            job.flush(timeout=0.0)
            position = recorder.progress.position
            if int(position.last_processed_id or 0) == number - 1:
                # The exception came before the count; reported again, it counts.
                assert position.items_by_type.get("issues", 0) == number - 1
                assert advance()
                job.flush(timeout=0.0)
                position = recorder.progress.position
            assert (position.items_by_type["issues"], position.last_processed_id) == (number, str(number))
            assert position.processed_items == (0 if keyed else number)
            if keyed:
                assert not advance()
        assert thrown > 50


@pytest.mark.parametrize("what", ["checkpoint", "report", "stage", "track", "event", "total", "flush"])
def test_an_exception_at_any_bytecode_of_what_else_is_said_leaves_all_whole(
    make_client: "Make", name: str, what: str
) -> None:
    """State and cursor stay together, and earlier counts and later calls are not affected."""
    with make_client(port=1, retries=0, start_timeout=0.1, end_timeout=0.1).job(name) as job:
        recorder = job._run.recorder
        assert recorder is not None
        number = 0

        def track() -> None:
            # One turn of the loop; the exception may come before or after it is done.
            for _ in job.track([number], type="issues", id=str, total=1, bar=False):
                pass

        ways: dict[str, Callable[[], object]] = {
            "checkpoint": lambda: job.checkpoint({"page": number}),
            "report": lambda: job.report(message=str(number)),
            "stage": lambda: job.stage(str(number)),
            "track": track,
            "event": lambda: job.event("e", {"number": number}),
            "total": lambda: job.total(10_000),
            "flush": lambda: job.flush(timeout=0.0),
        }
        going_on = True
        thrown = 0
        while going_on:
            thrown += 1
            number += 1
            if what != "track":
                job.advance("issues", 1, last_id=number)
            going_on = throw_at(thrown, ways[what])
            job.flush(timeout=0.0)
            position = recorder.progress.position
            # An interrupted end leaves its loop there. Remove it, or each exception would make the next path longer.
            recorder._trackers.clear()
            if what == "track" and int(position.last_processed_id or 0) == number - 1:
                assert position.processed_items == number - 1
                job.advance("issues", 1, last_id=number)
                job.flush(timeout=0.0)
                position = recorder.progress.position
            assert (position.processed_items, position.last_processed_id) == (number, str(number))
            assert what != "checkpoint" or position.state in ({"page": number}, {"page": number - 1}, None)
        assert thrown > 20


@pytest.mark.timeout(600)
def test_an_exception_at_any_bytecode_of_folding_and_sealing_loses_nothing_and_counts_nothing_twice() -> None:
    """Although no signal handler runs there: it is another thread's code."""
    recorder = make_recorder()
    said = thrown = 0
    now = 0.0
    going_on = True
    while going_on:
        thrown += 1
        for _ in range(3):
            said += 1
            recorder.count(("issues", 1, 1, str(said)), None)
        recorder.count(("issues", 0, 0, None), f"key {said}".encode())
        recorder.say(Progress.checkpoint, prepare({"progress": said}), said, None)
        now += 1.0

        def write(now: float = now) -> None:
            recorder.write(now)

        going_on = throw_at(thrown, write)
        if recorder._lock.locked():
            # The interpreter raises nothing between a block's end and the release of its lock; only a trace does.
            recorder._lock.release()
        recorder.write(now + 0.5)
        assert check(recorder) == said
        assert recorder.has_counted(f"key {said}".encode())
    assert thrown > 500
    assert f"key {said}".encode() in recorder.channel.outbox.counted()
    recorder.channel.outbox.close()


@pytest.mark.parametrize("way", WAYS)
def test_count_and_cursor_agree_after_a_ctrl_c_at_any_moment(tmp_path: Path, way: str) -> None:
    """A real SIGINT in a tight loop: nothing hangs, and the job is paused."""
    number = int(os.environ.get("TALLYMARK_TEST_INTERRUPTS", "6"))
    result, wrong = rounds(number, way, tmp_path, seed=number)
    assert (result["right"], result["hangs"], wrong) == (number, 0, [])


@pytest.mark.deep
@pytest.mark.timeout(900)
@pytest.mark.parametrize("way", WAYS)
def test_count_and_cursor_agree_after_two_hundred_ctrl_c(
    tmp_path: Path, way: str, record_property: Callable[[str, object], None]
) -> None:
    """The same, more often."""
    result, wrong = rounds(200, way, tmp_path, seed=1)
    record_property("figure", f"{way}: count equals cursor in {result['right']} of 200, hangs {result['hangs']}")
    assert (result["right"], result["hangs"], wrong) == (200, 0, [])


def _fork(web: Web, name: str, spool: Path, look: "Look", children: int) -> None:
    done = subprocess.run(
        [sys.executable, str(FORKING), f"http://127.0.0.1:{web.port}", TOKEN, str(spool), name, str(children)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["found"] == {"right": children}
    assert told["kept"], "a child that ends closes nothing: SQLite would remove the log of the parent's file"
    counted = told["counted"]
    by_type, processed = look.counts(name)
    assert (by_type, processed) == ({"issues": counted, "others": 2 * counted}, 0), "keys came first"
    assert look(name)["status"] == "finished"
    assert "from a child" not in json.dumps(look(name))
    assert list(spool.iterdir()) == [], "what is completed and delivered leaves nothing in the spool"


def test_a_child_of_a_fork_gets_a_clear_error_and_the_parent_goes_on(
    web: Web, name: str, tmp_path: Path, look: "Look"
) -> None:
    """Whatever the child calls, however it ends, and whatever the parent's threads were doing."""
    _fork(web, name, tmp_path / "spool", look, 28)


@pytest.mark.deep
@pytest.mark.timeout(900)
def test_a_hundred_and_fifty_children_of_forks_get_a_clear_error(
    web: Web, name: str, tmp_path: Path, look: "Look"
) -> None:
    """The same, more often."""
    _fork(web, name, tmp_path / "spool", look, 150)


_LEAVE_AN_OUTBOX = """
import os, sys
from pathlib import Path
from tallymark.client.outbox import Outbox
outbox = Outbox(Path(sys.argv[1]), limit=10)
child = os.fork()
if not child:
    del outbox
    sys.exit()
assert os.waitpid(child, 0)[1] == 0
print(sorted(os.listdir(os.path.dirname(sys.argv[1]))))
"""


def test_an_outbox_that_a_child_lets_go_of_is_not_closed_there(tmp_path: Path) -> None:
    """SQLite would remove the write-ahead log of the parent's file."""
    command = [sys.executable, "-c", _LEAVE_AN_OUTBOX, str(tmp_path / "file")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "['file', 'file-wal']\n", done.stderr


def test_the_crawl_goes_on_while_the_disk_stands_still(
    make_client: "Make", name: str, look: "Look", monkeypatch: pytest.MonkeyPatch
) -> None:
    """No call waits for the disk, and the memory is bounded."""
    monkeypatch.setattr("tallymark.client.recorder._MOST_ENTRIES", 500)
    with make_client().job(name) as job:
        recorder = job._run.recorder
        assert recorder is not None
        outbox = recorder.channel.outbox
        with outbox.file.transaction():
            for number in range(1, 20_001):
                job.advance("issues", last_id=number)
            for _ in job.track(range(1000), type="pages"):
                pass
            job.checkpoint({"page": 1})
            job.report(message="all is well")
            job.stage("the second")
            job.event("mine")
            job.error("none")
            job.total(30_000)
            assert outbox.file.database.in_transaction, "all of them returned while the outbox was held"
            shortened = threading.Event()
            for _ in range(200):
                if len(recorder._log) < 500:
                    shortened.set()
                    break
                shortened.wait(0.05)
            assert shortened.is_set(), "what is said is added up all the same"
        assert job.flush()
    assert look.counts(name) == ({"issues": 20_000, "pages": 1000}, 21_000)


def test_what_is_said_between_turns_counts_in_its_place(make_client: "Make", name: str) -> None:
    """A stage in the middle of a loop: items done before it belong to the stage before, however late it is folded."""
    with make_client(port=1, retries=0, start_timeout=0.1, end_timeout=0.1, every_seconds=600.0).job(name) as job:
        for item in job.track(range(10), type="issues", id=str):
            if item == 4:
                job.stage("two")
        job.flush(timeout=0.0)
        assert job._run.recorder is not None
        rows = [json.loads(row.text) for row in job._run.recorder.channel.outbox.head(100, 10**6)]
        place = next(place for place, row in enumerate(rows) if row.get("stage") == "two")
        counts = [row.get("itemsByType", {}).get("issues", 0) for row in rows]
        assert (sum(counts[:place]), counts[place], sum(counts[place:])) == (4, 0, 6)
        assert [row["lastProcessedId"] for row in rows if "lastProcessedId" in row] == ["3", "9"]
