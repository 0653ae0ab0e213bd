"""A disk that is damaged, full, removed or locked: the crawl goes on, `flush` says what is true, nothing is raised."""

import logging
import shutil
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.client.test_full_disk import fill_the_disk
from tests.web.conftest import TOKEN, Web

from tallymark import DeliveryError, Job
from tallymark.client import spool_file
from tallymark.client.channel import Channel
from tallymark.client.disk import set_aside
from tallymark.client.log import log
from tallymark.client.outbox import Outbox
from tallymark.client.records import Position
from tallymark.client.spool import Spool
from tallymark.client.spool_file import InUse
from tallymark.client.updates import Update

if TYPE_CHECKING:
    from tests.client.conftest import Look, Make


def outbox_of(job: Job) -> Outbox:
    """Return the outbox of a job."""
    assert job._run.recorder is not None
    return job._run.recorder.channel.outbox


def path_of(job: Job) -> Path:
    """Return the file of a job."""
    path = outbox_of(job).path
    assert path is not None
    return path


def damage(path: Path, first: int = 1) -> None:
    """Overwrite the pages of a database after the first ones, and forget what is not in it yet."""
    with path.open("r+b") as file:
        size = file.seek(0, 2)
        file.seek(first * 4096)
        file.write(b"\xa5" * max(size - first * 4096, 0))


def leave_a_spool(make_client: "Make", name: str, items: int = 3000) -> Path:
    """Run a crawl without a server, and return its file."""
    with make_client(port=1, retries=0, end_timeout=0.2, start_timeout=0.2).job(name) as job:
        for number in range(1, items + 1):
            job.advance("pages", last_id=number, key=f"page {number}")
        job.checkpoint({"page": items})
        assert job.flush(0.2).on_disk
        path = path_of(job)
        job.pause()
    return path


@pytest.mark.parametrize("first", [1, 5, 20])
def test_a_spool_with_damaged_blocks_that_still_opens_breaks_nothing(
    make_client: "Make", name: str, look: "Look", first: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The next run starts, counts, answers all questions and ends; the damaged file is kept for people."""
    path = leave_a_spool(make_client, name)
    damage(path, first)
    with make_client().job(name) as job:
        for number in range(3001, 3101):
            assert job.advance("pages", last_id=number, key=f"page {number}")
            job.seen(f"page {number - 3000}")
        job.refused()
        job.flush()
        job.advance("pages", key="one more", last_id="3101")
    assert look(name)["status"] == "finished"
    assert look.counts(name)[0]["pages"] >= 101
    assert look(name)["progress"]["lastProcessedId"] == "3101"
    if "cannot be read" in caplog.text:
        assert list(path.parent.glob("*.damaged-*"))
    with make_client().job(name) as job:
        job.advance("pages", 1)
        assert job.flush()


def test_a_file_that_is_damaged_while_the_crawl_runs_costs_no_count(
    make_client: "Make", name: str, look: "Look"
) -> None:
    """What is written afterwards goes to the server from memory."""
    with make_client().job(name) as job:
        for number in range(1, 2001):
            job.advance("pages", last_id=number, key=f"page {number}")
        assert job.flush()
        outbox = outbox_of(job)
        outbox.file.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        outbox.file.database.execute("PRAGMA cache_size = 1")
        outbox.file.database.execute("PRAGMA shrink_memory")
        damage(path_of(job))
        for number in range(2001, 4001):
            assert job.advance("pages", last_id=number, key=f"page {number}")
        job.refused()
        job.flush()
        assert job.seen("page 17")
        assert not job.advance("pages", key="page 17")
    assert look.counts(name) == ({"pages": 4000}, 0), "keys came first"
    assert look(name)["status"] == "finished"


def test_a_spool_that_is_removed_while_the_crawl_runs_is_made_again(
    make_client: "Make", name: str, look: "Look", caplog: pytest.LogCaptureFixture
) -> None:
    """`flush` says "on disk" only where the disk has it. The next run finds everything."""
    with make_client(port=1, retries=0, start_timeout=0.2, end_timeout=0.2).job(name) as job:
        for number in range(1, 11):
            job.advance("issues", last_id=number, key=str(number))
        assert job.flush(0.2).on_disk
        shutil.rmtree(path_of(job).parent)
        assert job.flush(0.2).on_disk
        assert path_of(job).exists(), "it was made again, with all that was in it"
        job.advance("issues", last_id=11, key="11")
        shutil.rmtree(path_of(job).parent)
        job.advance("issues", last_id=12, key="12")
        assert job.flush(0.2).on_disk
        assert path_of(job).exists()
        job.pause()
    assert "the file was removed" in caplog.text
    assert [record.levelname for record in caplog.records if "the file was removed" in record.getMessage()].count(
        "WARNING"
    ) == 1
    with make_client().job(name) as job:
        assert job.resume.last_processed_id == "12"
        assert not job.advance("issues", key="7")
    assert look.counts(name) == ({"issues": 12}, 0), "keys came first"


def test_where_the_spool_cannot_be_made_again_flush_says_so(
    make_client: "Make", name: str, look: "Look", tmp_path: Path
) -> None:
    """A file has the directory's name. The counts arrive from memory."""
    client = make_client(retries=0, end_timeout=5)
    with client.job(name) as job:
        job.advance("issues", 3)
        assert job.flush()
        shutil.rmtree(tmp_path / "spool")
        (tmp_path / "spool").write_text("in the way")
        job.advance("issues", 4)
        assert job.flush(), "the server has it"
        assert not outbox_of(job).is_durable
    assert look.counts(name) == ({"issues": 7}, 7)
    with make_client(port=1, retries=0, start_timeout=0.2, end_timeout=0.2).job(f"{name} 2") as job:
        job.advance("issues", 3)
        with pytest.raises(DeliveryError):
            job.flush(0.2)


def test_a_disk_that_works_again_is_used_again(
    make_client: "Make", name: str, look: "Look", monkeypatch: pytest.MonkeyPatch
) -> None:
    """A minute after it was full; the crawl then survives a kill again."""
    with make_client(port=1, retries=0, start_timeout=0.2, end_timeout=0.2).job(name) as job:
        job.advance("issues", 3, last_id="3", key="a")
        assert job.flush(0.2).on_disk
        fill_the_disk(job)
        job.checkpoint("y" * 60_000)
        with pytest.raises(DeliveryError):
            job.flush(0.2)
        job.advance("issues", 3, last_id="6", key="b")
        with pytest.raises(DeliveryError):
            job.flush(0.2)
        monkeypatch.setattr("tallymark.client.storage._DISK_AGAIN_SECONDS", 0.0)
        assert job._run.recorder is not None
        job._run.recorder.channel.storage._disk_again_at = 0.0
        job.advance("issues", 3, last_id="9", key="c")
        assert job.flush(0.2).on_disk
        assert outbox_of(job).is_durable
        job.pause()
    with make_client().job(name) as job:
        assert job.resume.last_processed_id == "9"
        assert job.resume.items_by_type == {"issues": 9}
        assert [job.seen(key) for key in "abcd"] == [True, True, True, False]
    assert look.counts(name) == ({"issues": 9}, 9)


FULL = """
import resource, signal, sys
from tallymark import ProgressClient
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
url, token, spool, name = sys.argv[1:]
with ProgressClient(url, token=token, spool=spool) as client, client.job(name) as job:
    job.advance("issues", 1, last_id="0", key="0")
    assert job.flush()
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, resource.RLIM_INFINITY))
    for number in range(1, 5001):
        assert job.advance("issues", last_id=number, key=str(number))
        if number % 500 == 0:
            job.checkpoint("y" * 10 * number)
            assert job.flush(), number
    assert job.seen("17") and not job.advance("issues", key="17")
    assert job.refused() == []
"""


def test_a_disk_that_is_really_full_breaks_nothing(name: str, look: "Look", web: Web, tmp_path: Path) -> None:
    """No file may grow beyond 150 KB: each write beyond it fails in the system."""
    url = f"http://127.0.0.1:{web.port}"
    done = subprocess.run(
        [sys.executable, "-c", FULL, url, TOKEN, str(tmp_path / "spool"), name],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("the spool cannot be written or read") == 1, "the log says it once"
    assert look.counts(name) == ({"issues": 5001}, 0), "keys came first"
    assert look(name)["status"] == "finished"


def test_a_file_that_another_process_keeps_locked_is_left_to_it(
    make_client: "Make", name: str, look: "Look", monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup, or a person with the sqlite3 shell: the crawl takes another file."""
    monkeypatch.setattr("tallymark.client.spool._PATIENCE_SECONDS", 0.1)
    path = leave_a_spool(make_client, name, 10)
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        with make_client().job(name) as job:
            job.advance("pages", last_id="11", key="page 11")
            assert job.flush()
            assert path_of(job) != path
        assert look(name)["status"] == "finished"
    other.close()
    with make_client().job(name) as job:
        assert job.flush()
    assert look.counts(name)[0] == {"pages": 11}


def test_a_start_waits_for_the_newest_file_of_the_job_while_another_process_delivers_it(tmp_path: Path) -> None:
    """After a disk that failed, the first file is older than the second one: the crawl must not go on from there."""
    spool = Spool(tmp_path, limit=10)
    for number in (1, 2):
        outbox = spool.new_file("j", None)
        assert outbox is not None
        update = Update(str(number), {"status": "processing"})
        outbox.append([update], Position("j", last_processed_id=str(number), clock=number))
        assert outbox.close() is None
    second = next(tmp_path.glob("*~2.sqlite3"))
    held = Outbox(second, limit=10)
    opened: list[Outbox] = []
    start = threading.Thread(target=lambda: opened.append(spool.open("j", None)))
    start.start()
    while True:
        # The start has the first file when nobody else can open it.
        try:
            Outbox(second.with_name(second.name.replace("~2", "~1")), limit=10).close()
        except InUse:
            break
    held.close()
    start.join()
    [outbox] = opened
    position = outbox.position()
    assert position is not None
    assert (position.last_processed_id, len(outbox)) == ("2", 2)
    assert not second.exists()
    outbox.close()


def test_what_a_damaged_database_gives_is_taken_as_damage(tmp_path: Path) -> None:
    """SQLite has no checksums: a position or a refused update may be no JSON."""
    outbox = Outbox(tmp_path / "a~1.sqlite3", limit=10)
    outbox.append([Update("u", {"status": "processing"}, (b"k",))], Position("j", last_processed_id="1"))
    outbox.file.database.execute("UPDATE position SET value = '{\"no\": 1'")
    outbox.file.database.execute("INSERT INTO refused VALUES ('x', 'no json', '{}', 'now')")
    for read in (outbox.position, outbox.refused):
        with pytest.raises(sqlite3.DatabaseError):
            read()
    channel = Channel("j", None, outbox)
    assert channel.ask(Outbox.position) is None
    assert not channel.outbox.is_durable
    assert [row.update_id for row in channel.outbox.head(10, 10**6)] == ["u"]
    assert channel.outbox.counted() == [b"k"]
    assert list(tmp_path.glob("*.damaged-*"))
    channel.close()


def test_updates_that_are_no_text_any_more_stop_no_delivery(tmp_path: Path) -> None:
    """A damaged page may turn a text into anything; the others are delivered."""
    channel = Channel("j", None, Outbox(tmp_path / "a~1.sqlite3", limit=2))
    updates = [Update(str(number), {"status": "processing", "itemsByType": {"x": 1}}) for number in range(3)]
    channel.put(updates[:2], Position("j"))
    channel.outbox.file.database.execute("UPDATE waiting SET payload = x'00ff' WHERE update_id = '0'")
    assert channel.head(10, 10**6) == []
    assert [row.update_id for row in channel.head(10, 10**6)] == ["1"]
    assert channel.put(updates[2:], Position("j")) == 3
    assert not channel.outbox.is_durable
    assert channel.refusals.number == 0, "nothing was refused: the file is kept for people"
    channel.close()
    assert list(tmp_path.glob("*.damaged-*"))


def test_a_log_of_a_damaged_file_is_not_taken_for_that_of_the_next_one(tmp_path: Path) -> None:
    """SQLite finds it by its name, so both are set aside together."""
    path = tmp_path / "x~1.sqlite3"
    for end in ("", "-wal"):
        path.with_name(path.name + end).write_bytes(b"no database" * 1000)
    aside = set_aside(path)
    assert sorted(found.name for found in tmp_path.iterdir()) == [aside.name, f"{aside.name}-wal"]
    path.write_bytes(b"no database" * 1000)
    outbox = Spool(tmp_path, limit=10)._open(path)
    assert outbox is not None
    assert len(list(tmp_path.glob("*.damaged-*"))) == 3
    outbox.close(remove=True)


def test_on_windows_a_file_is_closed_before_it_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An open file cannot be removed there."""
    monkeypatch.setattr(spool_file, "_UNLINKS_OPEN_FILES", False)
    outbox = Outbox(tmp_path / "a~1.sqlite3", limit=10)
    removed: list[bool] = []
    unlink = Path.unlink

    def look_and_unlink(path: Path, missing_ok: bool = False) -> None:
        with pytest.raises(sqlite3.ProgrammingError):
            outbox.file.database.execute("SELECT 1")
        removed.append(True)
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", look_and_unlink)
    assert outbox.close(remove=True) is None
    assert removed
    assert list(tmp_path.iterdir()) == []


def test_a_refused_update_is_told_by_flush_once(make_client: "Make", name: str, web: Web) -> None:
    """It is neither on the server nor waiting: `flush` is not true, and says why."""
    client = make_client()
    with client.job(name, register=False) as job:
        job.advance("issues", 3)
        flushed = job.flush()
        assert (bool(flushed), flushed.on_server, flushed.on_disk) == (False, True, False)
        assert all("Job not found" in why for why in flushed.refused)
        assert flushed.refused
        assert web.register(name).status == 201
        job.advance("issues", 4)
        assert job.flush()
        assert job.refused()[-1][0]["itemsByType"] == {"issues": 3}


def test_a_log_handler_that_reports_or_raises_breaks_nothing(
    make_client: "Make",
    name: str,
    look: "Look",
    web: Web,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before, at and after the end of the job, in all threads, and also where everything is refused."""

    class Handler(logging.Handler):
        def __init__(self) -> None:
            super().__init__()
            self.job: Job | None = None
            self.told = 0

        def emit(self, record: logging.LogRecord) -> None:
            self.told += 1
            if self.job is not None:
                self.job.event("logged", {"message": record.getMessage()})
                self.job.advance("logged")
                self.job.error("logged")
            raise RuntimeError("this handler always fails")

    monkeypatch.setattr(log, "_has_failed", False)
    handler = Handler()
    logger = logging.getLogger("tallymark.client")
    logger.addHandler(handler)
    try:
        with make_client().job(name) as job:
            handler.job = job
            job.advance("issues", 3)
            job.complete()
            for _ in range(50):
                assert not job.advance("issues")
                job.event("late")
            threads = [threading.Thread(target=job.advance, args=("issues",)) for _ in range(20)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        with make_client(end_timeout=2.0).job(f"{name}_unknown", register=False) as job:
            handler.job = job
            job.advance("issues", 3)
            assert not job.flush(5)
        assert 0 < handler.told < 100
    finally:
        logger.removeHandler(handler)
    assert look(name)["status"] == "finished"
    assert look.counts(name)[0]["issues"] == 3
    assert capfd.readouterr().err.count("a log handler raised RuntimeError") == 1
    assert web.call("GET", f"/api/internal/jobs/{name}_unknown").status == 404
