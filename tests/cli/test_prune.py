"""`tallymark prune` folds old events, archives and deletes ended jobs, and loses no data of either."""

import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg.types.json import Jsonb
from tests.processes import ending

from tallymark import functions
from tallymark.cli.prune import prune

Connection = psycopg.Connection[Any]
OLD = "2025-01-01T00:00:00Z"


def run(url: str, *arguments: str) -> Result:
    """Run `tallymark prune` as a script would, without a terminal."""
    return CliRunner().invoke(prune, ["--database-url", url, *arguments])


def outcome(result: Result) -> dict[str, Any]:
    """Run with --json and return the output; fail if the run failed."""
    assert result.exit_code == 0, result.output
    told: dict[str, Any] = json.loads(result.stdout)
    return told


def make_job(db: Connection, job: str, updates: int, *, ended: bool = False) -> None:
    """Register a job and report on it, long ago."""
    db.execute("SELECT tallymark.create_job(%s)", [job])
    for number in range(1, updates + 1):
        update = {
            "updateId": f"u{number}",
            "status": "completed" if ended and number == updates else "processing",
            "timestamp": "2025-01-01T00:00:00Z",
            "itemsByType": {"issues": 1},
        }
        db.execute("SELECT tallymark.merge_progress(%s, %s)", [job, Jsonb(update)])
    db.execute("UPDATE tallymark.job_event SET recorded_at = %s WHERE job_id = %s", [OLD, job])
    db.execute("UPDATE tallymark.job SET updated_at = %s WHERE id = %s", [OLD, job])


def events_of(db: Connection) -> dict[str, int]:
    """Count each job's events."""
    return dict(db.execute("SELECT job_id, count(*)::int FROM tallymark.job_event GROUP BY 1").fetchall())


def verified(db: Connection) -> bool:
    """Return whether all jobs match their ledgers."""
    return db.execute("SELECT bool_and(tallymark.verify_job(id)) FROM tallymark.job").fetchone() == (True,)


def test_old_events_go_and_all_states_still_verify(db: Connection, db_url: str) -> None:
    """The newest events of each job stay. A job with fewer events is not touched."""
    make_job(db, "long", 30)
    make_job(db, "short", 5)
    before = db.execute("SELECT id, progress FROM tallymark.job ORDER BY id").fetchall()
    told = run(db_url, "--older-than", "30d", "--keep", "10", "--share", "1")
    assert (told.exit_code, told.output) == (0, "20 events of 1 job pruned\n")
    assert events_of(db) == {"long": 10, "short": 5}
    assert db.execute("SELECT id, progress FROM tallymark.job ORDER BY id").fetchall() == before
    assert verified(db)
    assert outcome(run(db_url, "--older-than", "30d", "--keep", "10", "--json"))["events"] == 0


def test_what_is_not_that_old_stays(db: Connection, db_url: str) -> None:
    """The server's clock decides."""
    make_job(db, "job", 5)
    db.execute("UPDATE tallymark.job_event SET recorded_at = now() WHERE seq > 3")
    assert outcome(run(db_url, "--older-than", "1d", "--keep", "0", "--json"))["events"] == 3
    assert events_of(db) == {"job": 2}


def test_a_run_while_a_migration_is_taken_back_says_so_and_the_next_one_works(db: Connection, db_url: str) -> None:
    """Nothing is pruned of a job that was not understood."""
    make_job(db, "job", 12)
    db.execute("ALTER TABLE tallymark.job RENAME COLUMN series TO taken_back")
    try:
        told = run(db_url, "--older-than", "30d", "--keep", "10")
    finally:
        db.execute("ALTER TABLE tallymark.job RENAME COLUMN taken_back TO series")
    assert told.exit_code == 2
    assert "run `tallymark migrate`" in told.output
    assert events_of(db) == {"job": 12}
    assert outcome(run(db_url, "--older-than", "30d", "--keep", "10", "--json"))["events"] == 2
    assert verified(db)


def test_a_dry_run_says_what_would_be_done_and_changes_nothing(db: Connection, db_url: str, tmp_path: Path) -> None:
    """Nothing changes in the database or on disk."""
    make_job(db, "job", 12)
    make_job(db, "done", 3, ended=True)
    told = run(db_url, "--older-than", "30d", "--keep", "10", "--delete-ended", "30d", "--dry-run")
    assert told.output == "2 events of 1 job would be pruned; 1 job would be deleted\n"
    assert events_of(db) == {"job": 12, "done": 3}
    assert list(tmp_path.iterdir()) == []


def test_an_ended_job_is_in_the_archive_before_it_is_deleted(db: Connection, db_url: str, tmp_path: Path) -> None:
    """The file has the job and every update of its ledger, and the baseline if the job was pruned."""
    make_job(db, "../a/é", 4, ended=True)
    make_job(db, "runs", 2)
    db.execute("SELECT tallymark.prune_job('../a/é', 'infinity', 2)")
    told = outcome(run(db_url, "--delete-ended", "30d", "--archive", str(tmp_path), "--json"))
    assert (told["deleted"], told["passed_over"]) == (1, [])
    (file,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert told["archives"] == [str(file)]
    assert file.parent == tmp_path / "2025" / "01"
    assert file.stat().st_mode & 0o077 == 0, "it is nobody else's business"
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        head, *events = [json.loads(line) for line in lines]
    assert head["job"]["id"] == "../a/é"
    assert head["document"]["progress"]["itemsByType"] == {"issues": 4}
    assert head["baseline"]["updates"] == 2
    assert [event["payload"]["updateId"] for event in events] == ["u3", "u4"]
    assert events_of(db) == {"runs": 2}
    with pytest.raises(psycopg.Error, match="Job not found"):
        db.execute("SELECT tallymark.merge_progress('../a/é', '{}')")


def test_the_keys_of_a_jobs_items_are_in_its_archive(
    db: Connection, db_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the ledger, in pages; the first line says how many there are. No key itself is in the file."""
    real = functions.item_page
    monkeypatch.setattr(functions, "item_page", lambda *given, after: real(*given, after=after, max_items=2))
    make_job(db, "job", 1)
    keys = {"pages": ["secret a", "secret b", "secret c"], "issues": ["secret a"]}
    for status in ("processing", "completed"):
        update = {"updateId": status, "status": status, "timestamp": "2025-01-06T20:00:00Z", "itemKeys": keys}
        db.execute("SELECT tallymark.merge_progress('job', %s)", [Jsonb(update)])
    db.execute("SELECT tallymark.prune_job('job', 'infinity', 1)")
    db.execute("UPDATE tallymark.job SET updated_at = %s", [OLD])
    assert run(db_url, "--delete-ended", "30d", "--archive", str(tmp_path)).exit_code == 0
    (file,) = (path for path in tmp_path.rglob("*") if path.is_file())
    text = gzip.decompress(file.read_bytes()).decode()
    assert "secret" not in text
    head, event, *rest = [json.loads(line) for line in text.splitlines()]
    assert (head["format"], head["items"], event["seq"]) == ("tallymark job 2", 4, 3)
    digests = {key: hashlib.sha256(key.encode()).hexdigest()[:32] for key in keys["pages"]}
    assert [item for line in rest for item in line["items"]] == [
        ["issues", digests["secret a"], 2],
        *(["pages", digest, 2] for digest in sorted(digests.values())),
    ]
    assert db.execute("SELECT count(*) FROM tallymark.job_item").fetchone() == (0,)


def test_a_job_that_goes_on_while_it_is_archived_stays(
    db: Connection, db_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job is skipped, which the exit status shows, and loses nothing."""
    make_job(db, "job\x1b[2J", 2, ended=True)
    real = os.fsync

    def report(descriptor: int) -> None:
        real(descriptor)
        db.execute(
            "SELECT tallymark.merge_progress(%s, %s)", ["job\x1b[2J", Jsonb({"status": "started", "updateId": "again"})]
        )

    monkeypatch.setattr(os, "fsync", report)
    told = run(db_url, "--delete-ended", "30d", "--archive", str(tmp_path))
    assert told.exit_code == 1
    assert "passed over job\\x1b[2J: it changed" in told.stderr, "and nothing that a terminal would obey"
    assert events_of(db) == {"job\x1b[2J": 3}
    assert verified(db)


def test_without_a_place_for_the_archive_nothing_is_deleted(db: Connection, db_url: str, tmp_path: Path) -> None:
    """The reason is given in one line."""
    make_job(db, "job", 2, ended=True)
    (tmp_path / "file").write_text("in the way")
    told = run(db_url, "--delete-ended", "30d", "--archive", str(tmp_path / "file" / "x"))
    assert told.exit_code == 2
    assert "cannot archive job, so it is not deleted" in told.output
    assert events_of(db) == {"job": 2}


def test_a_crawler_in_a_long_transaction_is_not_waited_for(db: Connection, db_url: str) -> None:
    """Its job is skipped; the others are pruned."""
    make_job(db, "held", 3)
    make_job(db, "other", 3)
    with psycopg.connect(db_url) as crawler:
        crawler.execute("SELECT tallymark.merge_progress('held', '{}')")
        told = run(db_url, "--older-than", "30d", "--keep", "0")
        assert (told.exit_code, told.stdout) == (1, "3 events of 2 jobs pruned\n")
        assert "passed over held" in told.stderr
    assert events_of(db) == {"held": 4}
    assert verified(db)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing to prune; give --older-than"),
        (["--older-than", "soon"], "neither an age, such as 2d or 12h, nor a date"),
        (["--delete-ended", "30d"], "needs one of --archive DIR and --no-archive"),
        (["--delete-ended", "30d", "--no-archive", "--archive", "."], "needs one of"),
        (["--older-than", "1d", "--share", "0"], "--share"),
    ],
)
def test_a_wrong_call_is_told_so(db_url: str, arguments: list[str], said: str) -> None:
    """Before anything is changed."""
    told = run(db_url, *arguments)
    assert told.exit_code == 2
    assert said in told.output


def test_who_is_no_admin_may_not(db: Connection, db_url: str) -> None:
    """The message names the missing right."""
    make_job(db, "job", 2)
    db.execute("CREATE ROLE tallymark_test_pruner LOGIN PASSWORD 'p'")
    try:
        db.execute("GRANT tallymark_writer, tallymark_reader TO tallymark_test_pruner")
        url = psycopg.conninfo.make_conninfo(db_url, user="tallymark_test_pruner", password="p")
        told = run(url, "--older-than", "30d", "--keep", "0")
    finally:
        db.execute("DROP ROLE tallymark_test_pruner")
    assert told.exit_code == 2
    assert "tallymark_admin" in told.output
    assert events_of(db) == {"job": 2}


def test_a_run_that_is_killed_leaves_nothing_half_done(db: Connection, db_url: str) -> None:
    """With kill -9, several times; every update still counts once, and the last run finishes."""
    for number in range(8):
        make_job(db, f"job{number}", 1)
        db.execute(
            """SELECT tallymark.merge_progress_batch((SELECT jsonb_agg(jsonb_build_object('taskId', %(job)s::text,
                 'updateId', 'm' || n, 'itemsByType', '{"issues": 1}'::jsonb)) FROM generate_series(1, 900) AS n))""",
            {"job": f"job{number}"},
        )
    db.execute("UPDATE tallymark.job_event SET recorded_at = %s", [OLD])
    command = [
        sys.executable,
        "-c",
        "from tallymark.cli import main; main()",
        "prune",
        "--database-url",
        db_url,
        "--older-than",
        "30d",
        "--keep",
    ]
    killed = 0
    while left := sum(events_of(db).values()):
        process = subprocess.Popen([*command, "0", "--share", "1"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 60
        with ending(process):
            while process.poll() is None and sum(events_of(db).values()) == left and time.monotonic() < deadline:
                time.sleep(0.005)
            if process.poll() is None and killed < 4:
                process.send_signal(signal.SIGKILL)
                killed += 1
            _, said = process.communicate()
        assert process.returncode in {0, -signal.SIGKILL}, said
        assert verified(db)
    assert killed > 0
    answers = db.execute(
        "SELECT tallymark.merge_progress(id, '{\"updateId\": \"m900\"}') -> 'duplicate' FROM tallymark.job"
    ).fetchall()
    assert answers == [(True,)] * 8
