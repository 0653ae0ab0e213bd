"""Hundreds of open jobs: all have their updates on disk, and the crawl keeps files of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.processes import ending

from tallymark.client import open_files, ownership
from tallymark.client.outbox import Outbox
from tallymark.client.records import Position
from tallymark.client.spool import Spool
from tallymark.client.spool_file import InUse
from tallymark.client.updates import Update

if TYPE_CHECKING:
    from tests.client.conftest import Look, Make

MANY = """
import os, resource, signal, sys, tempfile
from contextlib import ExitStack
from tallymark import ProgressClient
files, number, spool, prefix = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
client = ProgressClient("http://127.0.0.1:1", token="x", spool=spool, retries=0, start_timeout=0, every_seconds=600)
jobs = [client.job(f"{prefix}{n}").start() for n in range(number)]
own = [tempfile.TemporaryFile() for _ in range(files // 3)]
for turn in range(2):
    for n, job in enumerate(jobs):
        assert job.advance("issues", last_id=turn, key=str(turn))
for job in jobs:
    assert job.flush(0.0).on_disk
print(len(os.listdir("/proc/self/fd")), flush=True)
if sys.argv[5] == "wait":
    signal.pause()
os.kill(os.getpid(), signal.SIGKILL)
"""


def run(tmp_path: Path, files: int, number: int, how: str = "die") -> subprocess.Popen[str]:
    """Run a crawl of many jobs without a server; it ends with a kill."""
    return subprocess.Popen(
        [sys.executable, "-c", MANY, str(files), str(number), str(tmp_path / "spool"), "many ", how],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(("files", "number"), [(128, 100), pytest.param(1024, 700, marks=pytest.mark.deep)])
def test_more_jobs_than_files_may_be_open_are_all_on_disk_after_a_kill(tmp_path: Path, files: int, number: int) -> None:
    """Each has its counts, its cursor and its keys, and the crawl could open files of its own."""
    process = run(tmp_path, files, number)
    with ending(process):
        output, errors = process.communicate(timeout=300)
    assert process.returncode == -signal.SIGKILL, errors
    assert "in memory" not in errors
    assert int(output) < files
    found = list((tmp_path / "spool").glob("*.sqlite3"))
    assert len(found) == number
    for path in found:
        outbox = Outbox(path, limit=100)
        updates = [json.loads(row.text) for row in outbox.head(100, 10**6)]
        assert [key for update in updates for key in update.get("itemKeys", {}).get("issues", [])] == ["0", "1"]
        assert len(outbox.sent()) == 2
        position = outbox.position()
        assert position is not None
        assert position.last_processed_id == "1"
        outbox.close()
    ownership.remove_left(tmp_path / "spool")
    assert not list((tmp_path / "spool").glob("owner-*"))


def test_a_file_that_is_put_down_stays_its_processes_own_until_that_ends(tmp_path: Path) -> None:
    """Others find it in use, though no process has it open, and free after a kill."""
    process = run(tmp_path, 64, 40, "wait")
    try:
        assert process.stdout is not None
        assert process.stdout.readline()
        for path in (tmp_path / "spool").glob("*.sqlite3"):
            with pytest.raises(InUse):
                Outbox(path, limit=100)
        assert list(Spool(tmp_path / "spool", limit=100).leftovers()) == []
    finally:
        process.kill()
        process.communicate()
    left = list(Spool(tmp_path / "spool", limit=100).leftovers())
    assert len(left) == 40
    for outbox in left:
        outbox.close()


def test_many_jobs_with_a_server_count_all(
    make_client: "Make", name: str, look: "Look", monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each is put down and taken up again and again; in the end no file is left."""
    monkeypatch.setattr(open_files, "most_open", lambda: 3)
    client = make_client()
    jobs = [client.job(f"{name}_{number}").start() for number in range(12)]
    for turn in range(1, 6):
        for job in jobs:
            assert job.advance("issues", 2, last_id=turn, key=str(turn))
            assert job.seen(str(turn))
        assert jobs[turn].flush()
    for job in jobs:
        assert job.flush()
        job.complete()
    client.close()
    for number in range(12):
        assert look.counts(f"{name}_{number}") == ({"issues": 10}, 10)
        assert look(f"{name}_{number}")["status"] == "finished"
    assert [path.name for path in (tmp_path / "spool").iterdir() if not path.name.startswith("owner-")] == []


def test_a_file_that_was_put_down_is_as_it_was(tmp_path: Path) -> None:
    """Updates, keys, position and numbers; it may be put down twice, closed while it is down, and removed."""
    outbox = Outbox(tmp_path / "a~1.sqlite3", limit=10)
    outbox.append([Update("u", {"status": "processing"}, (b"k",))], Position("j", last_processed_id="1"))
    for _ in range(2):
        assert outbox.file.put_down()
        assert not outbox.file.put_down()
        with pytest.raises(InUse):
            Outbox(tmp_path / "a~1.sqlite3", limit=10)
        assert [row.update_id for row in outbox.head(10, 10**6)] == ["u"]
        assert outbox.counted() == [b"k"]
    assert outbox.file.put_down()
    assert outbox.close() is None
    again = Outbox(tmp_path / "a~1.sqlite3", limit=10)
    assert len(again) == 1
    assert again.file.put_down()
    again.settle(again.head(10, 10**6))
    assert again.file.put_down()
    assert again.close(remove=True) is None
    assert [path.name for path in tmp_path.glob("a*")] == []


def test_a_file_that_is_removed_while_it_is_down_is_told(tmp_path: Path) -> None:
    """Nothing is made in its place that looks as if it had been there."""
    outbox = Outbox(tmp_path / "a~1.sqlite3", limit=10)
    assert outbox.file.put_down()
    (tmp_path / "a~1.sqlite3").unlink()
    with pytest.raises(FileNotFoundError):
        outbox.position()
    assert not list(tmp_path.glob("a*"))
    outbox.close()


def test_a_child_of_a_fork_leaves_what_is_put_down_to_its_parent(tmp_path: Path) -> None:
    """The parent goes on with it."""
    outbox = Outbox(tmp_path / "a~1.sqlite3", limit=10)
    assert outbox.file.put_down()
    child = os.fork()
    if not child:
        os._exit(0 if not ownership._mine else 1)
    assert os.waitpid(child, 0)[1] == 0
    began = time.monotonic()
    assert outbox.position() is None
    assert time.monotonic() - began < 60
    outbox.close(remove=True)
