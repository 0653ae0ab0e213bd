"""`tallymark watch`, in a terminal or piped into another program; it ends with Ctrl-C, or when all jobs are done."""

import json
import signal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from psycopg.types.json import Jsonb
from tests.cli.terminal import FAST, in_terminal, piped

from tallymark import functions
from tallymark.cli import cli
from tallymark.cli.common import server_time
from tallymark.cli.watched import RunningJobs
from tallymark.functions.call import Json
from tallymark.schema.migrate import migrate
from tallymark.server import EmbeddedPostgres

Connection = psycopg.Connection[Any]

_SHOW_CURSOR = b"\x1b[?25h"


def report(db: Connection, job_id: str, **members: object) -> None:
    """Report on a job, and register it first if it is new."""
    db.execute("SELECT tallymark.create_job(%s)", [job_id])
    db.execute("SELECT tallymark.merge_progress(%s, %s)", [job_id, Jsonb({"status": "processing", **members})])


def test_the_picture_follows_the_jobs_that_run_and_stays_when_it_ends(db: Connection, db_url: str) -> None:
    """A line changes, one appears, one disappears. Ctrl-C leaves the last picture and a cursor, and is no failure."""
    report(db, "first", processedItems=10, totalItems=100)
    with in_terminal("watch", *FAST, "--database-url", db_url) as terminal:
        terminal.until(lambda screen: "first " in screen and "10/100 items (10%)" in screen)
        report(db, "first", processedItems=40)
        terminal.until(lambda screen: "40/100 items (40%)" in screen)
        report(db, "second", processedItems=1)
        screen = terminal.until(lambda screen: "2 jobs: 2 running" in screen)
        assert screen.index("second") < screen.index("first"), "the newest first"
        report(db, "first", status="completed", processedItems=100)
        screen = terminal.until(lambda screen: "1 running, 1 finished" in screen)
        assert "first   finished  ━━━━━━━━ 100%" in screen
        terminal.type(b"\x03")
        assert terminal.end() == 0
        last = terminal.screen()
    assert last.count("first") == last.count("second") == last.count("jobs: ") == 1
    assert "^C" not in last
    assert terminal.written.rstrip().endswith(_SHOW_CURSOR)


def test_as_many_jobs_as_fit_are_shown_and_the_others_are_counted(db: Connection, db_url: str) -> None:
    """Those that started last are shown; a larger window shows more of them."""
    for n in range(30):
        report(db, f"job_{n:02}", timestamp=f"2025-01-06T19:15:{n:02}Z", updateId="1")
    with in_terminal("watch", *FAST, "--database-url", db_url, width=140, height=12) as terminal:
        screen = terminal.until(lambda screen: "more jobs" in screen)
        shown = [line.split()[0] for line in screen.splitlines() if line.startswith("job_")]
        assert shown == [f"job_{n:02}" for n in range(29, 21, -1)]
        assert "and 22 more jobs" in screen
        assert "30 jobs: 30 running" in screen
        terminal.resize(70, 50)
        screen = terminal.until(lambda screen: "and 7 more jobs" in screen)
        assert "job_07" in screen
        assert screen.count("job_29") == 1, "nothing is left of the old picture"
        assert max(map(len, screen.splitlines())) <= 70


def test_of_one_job_the_newest_events_are_shown_too(db: Connection, db_url: str) -> None:
    """As many as fit; a new one replaces the oldest."""
    for n in range(1, 60):
        report(db, "j", message=f"message-{n}", itemsByType={"issues": 2}, updateId=str(n))
    with in_terminal("watch", "j", *FAST, "--database-url", db_url, width=120, height=24) as terminal:
        screen = terminal.until(lambda screen: "message-59" in screen)
        assert "issues    118  ━━━━━" in screen
        numbers = [int(line.split()[0]) for line in screen.splitlines() if " progress_update " in line]
        assert numbers == list(range(numbers[0], 60))
        assert len(screen.splitlines()) == 23
        report(db, "j", error={"type": "Oops", "message": "it broke"})
        screen = terminal.until(lambda screen: "Oops: it broke, " in screen or " 60  " in screen)
        assert f" {numbers[0]}  " not in screen
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.end() == 0
    assert "last error    Oops: it broke" in terminal.screen()


def test_events_that_a_restored_backup_does_not_have_are_no_longer_shown(db: Connection, db_url: str) -> None:
    """Those that the ledger goes on with have their numbers."""
    for n in range(1, 6):
        report(db, "j", message=f"message-{n}", updateId=str(n))
    with in_terminal("watch", "j", *FAST, "--database-url", db_url, width=120, height=24) as terminal:
        terminal.until(lambda screen: "message-5" in screen)
        with db.transaction():
            db.execute("DELETE FROM tallymark.job_event WHERE job_id = 'j' AND seq > 3")
            db.execute("UPDATE tallymark.job SET last_seq = 3 WHERE id = 'j'")
            report(db, "j", message="other-4", updateId="4")
            report(db, "j", message="other-5", updateId="5")
        screen = terminal.until(lambda screen: "other-5" in screen and "message-5" not in screen)
        assert [word for word in screen.split() if "message-" in word or "other-" in word][-5:] == [
            *("message-1", "message-2", "message-3", "other-4", "other-5")
        ]
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.end() == 0


def test_what_a_crawler_wrote_cannot_do_anything_to_the_terminal(db: Connection, db_url: str) -> None:
    """Neither in the table nor beside a single job."""
    evil = "\x1b]0;title\x07\x1b[2J[red]\u202ex\r\n"
    report(db, evil, stage=evil, timeline=[{"event": evil, "timestamp": "2025-01-06T19:00:00Z", "details": evil}])
    for names in ([], [evil]):
        with in_terminal("watch", *names, *FAST, "--database-url", db_url, width=160) as terminal:
            screen = terminal.until(lambda screen: "running" in screen)
            assert r"\x1b]0;title\x07\x1b[2J[red]\u202ex" in screen
            assert b"\x1b]0;" not in terminal.written
            assert b"\x1b[2J" not in terminal.written


@pytest.mark.slow
def test_it_goes_on_when_the_database_is_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded server may come back on another port. Until then `watch` shows that the database is away."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    data = tmp_path / "data"
    with EmbeddedPostgres(data) as server:
        migrate(server.url)
        with psycopg.connect(server.url, autocommit=True) as db:
            report(db, "j", processedItems=1)
        place = ("--data", str(data))
        with in_terminal("watch", *FAST, *place) as terminal, piped("j", *place) as lines:
            terminal.until(lambda screen: "1 item " in screen)
            assert lines.line().endswith("  1 item")
            server.stop()
            screen = terminal.until(lambda screen: "the database is away, trying again" in screen)
            assert "1 item " in screen
            with EmbeddedPostgres(data) as again:
                terminal.until(lambda screen: "the database is away" not in screen)
                with psycopg.connect(again.url, autocommit=True) as db:
                    report(db, "j", processedItems=2)
                terminal.until(lambda screen: "2 items" in screen)
                assert "2 items" in lines.line()
                # Here, not after the block, because the database goes away again when the block ends.
                _code, _rest, said = lines.end(signal.SIGINT)
    away, back = said.splitlines()
    assert away.startswith("tallymark: the database is away, trying again: ")
    assert back == "tallymark: the database is back"


def test_without_a_terminal_there_is_a_line_for_each_change(db: Connection, db_url: str) -> None:
    """Ended jobs have a line, too. The output is plain text for pipes."""
    report(db, "a[red]\x1b", processedItems=1, totalItems=4, stage="pages", updateId="1")
    with piped("--database-url", db_url) as lines:
        assert lines.line().split("  ")[1:] == [r"a[red]\x1b", "running", "1/4 items (25%)", "pages"]
        report(db, "b", processedItems=7, updateId="1")
        assert lines.line().split("  ")[1:] == ["b", "running", "7 items"]
        report(db, "b", processedItems=7, updateId="1")
        db.execute("SELECT tallymark.request_command('b', 'pause')")
        assert lines.line().split("  ")[1:] == ["b", "running", "7 items", "pause asked"]
        report(db, "b", status="failed")
        assert lines.line().split("  ")[1:] == ["b", "failed", "7 items"]
        assert lines.end(signal.SIGINT) == (0, [], "")


def test_a_script_gets_a_document_for_each_change(db: Connection, db_url: str) -> None:
    """One line each, in the form of `list_jobs`, for all jobs and for named ones."""
    report(db, "j", processedItems=1, progress={"page": 1}, updateId="1")
    with piped("--json", "--database-url", db_url) as everything, piped("j", "--json", "--database-url", db_url) as one:
        assert json.loads(everything.line()) == json.loads(one.line()) == functions.list_jobs(db)["jobs"][0]
        report(db, "j", status="completed", processedItems=2)
        assert json.loads(everything.line()) == json.loads(one.line()) == functions.list_jobs(db)["jobs"][0]


def test_until_done_ends_when_all_have_finished(db: Connection, db_url: str) -> None:
    """With exit code 0, and not before."""
    report(db, "a", status="completed")
    report(db, "b")
    with piped("a", "b", "--until-done", "--database-url", db_url) as lines:
        assert [lines.line().split("  ")[2] for _ in "ab"] == ["finished", "running"]
        report(db, "b", status="paused")
        assert lines.line().split("  ")[2] == "paused"
        report(db, "b", status="completed")
        code, [last], _said = lines.end()
    assert (code, last.split("  ")[2]) == (0, "finished")


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_until_done_fails_as_soon_as_one_job_has(db: Connection, db_url: str, status: str) -> None:
    """Even if another job still runs; the picture stays in the terminal."""
    report(db, "a")
    report(db, "b")
    with in_terminal("watch", "a", "b", "--until-done", *FAST, "--database-url", db_url) as terminal:
        terminal.until(lambda screen: "2 jobs: 2 running" in screen)
        report(db, "b", status=status)
        assert terminal.end() == 1
    assert f"1 running, 1 {status}" in terminal.screen()


def test_until_done_fails_when_a_job_is_gone(db: Connection, db_url: str) -> None:
    """A deleted job will never finish."""
    report(db, "j")
    with piped("j", "--until-done", "--database-url", db_url) as lines:
        lines.line()
        db.execute("DELETE FROM tallymark.job")
        assert lines.end() == (1, [], "tallymark: job j is gone\n")


def test_ctrl_c_does_not_pass_for_done(db: Connection, db_url: str) -> None:
    """`tallymark watch JOB --until-done && deploy` must not deploy then."""
    report(db, "j")
    with piped("j", "--until-done", "--database-url", db_url) as lines:
        lines.line()
        assert lines.end(signal.SIGINT)[0] == 130


def test_ctrl_c_is_heard_while_the_database_does_not_answer(db: Connection, db_url: str) -> None:
    """A locked table delays the reading, but not the end."""
    report(db, "j")
    with piped("j", "--database-url", db_url) as lines, psycopg.connect(db_url) as other:
        lines.line()
        other.execute("LOCK TABLE tallymark.job IN ACCESS EXCLUSIVE MODE")
        while db.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() == (0,):
            assert lines.process.poll() is None
        assert lines.end(signal.SIGINT) == (0, [], "")


def test_an_empty_terminal_says_that_nothing_runs(db: Connection, db_url: str) -> None:
    """When a job starts, it is shown."""
    with in_terminal("watch", *FAST, "--database-url", db_url) as terminal:
        terminal.until(lambda screen: "no job is running" in screen)
        report(db, "j")
        terminal.until(lambda screen: "1 job: 1 running" in screen and "no job is running" not in screen)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gone"], "There is no job 'gone'"),
        (["--until-done"], "needs the names of jobs"),
        (["--interval", "0.1"], "0.1 is not in the range"),
        (["--interval", "nan"], "nan is not a number"),
    ],
)
def test_what_cannot_be_watched_is_said(db_url: str, arguments: list[str], said: str) -> None:
    """At once, with exit code 2."""
    done = CliRunner().invoke(cli, ["watch", *arguments, "--database-url", db_url])
    assert (done.exit_code, said in done.output) == (2, True), done.output


def test_a_database_that_was_never_there_is_an_error() -> None:
    """Otherwise a mistyped name would be waited for forever."""
    done = CliRunner().invoke(cli, ["watch", "--database-url", "postgresql://nobody@127.0.0.1:1/x"])
    assert done.exit_code == 2
    assert 'Error: cannot reach the database: connection to server at "127.0.0.1"' in done.output
    assert "check --database-url or DATABASE_URL, or start `tallymark up`" in done.output


def test_of_many_running_jobs_only_those_that_changed_are_read_most_of_the_time(
    db: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A complete reading is due after ten times as long as it took; it also notices jobs that ended."""
    asked = []

    def list_jobs(*arguments: Any, **filters: Any) -> Json:  # noqa: ANN401 - passed through
        if filters["status"] == "running":  # the same is asked for those that wait
            asked.append(filters["updated_since"] is not None)
        return functions.list_jobs(arguments[0], max_jobs=1000, **filters)

    monkeypatch.setattr("tallymark.cli.watched.list_jobs", list_jobs)
    clock = iter([0.0, 5.0, 20.0, 54.0, 56.0, 57.0])
    monkeypatch.setattr("tallymark.cli.watched.time.monotonic", lambda: next(clock))
    now = server_time(db)
    for job_id in "abc":
        report(db, job_id)
    db.execute("UPDATE tallymark.job SET updated_at = now() - interval '1 hour' WHERE id IN ('a', 'b')")
    running = RunningJobs()
    assert {job["id"] for job in running.read(db, now)} == {"a", "b", "c"}
    report(db, "b", status="completed")
    assert running.read(db, now) == []
    report(db, "c", processedItems=3)
    assert [job["summary"] for job in running.read(db, now)] == ["3 items"]
    assert {job["status"] for job in running.jobs()} == {"running"}
    assert [(job["id"], job["status"]) for job in running.read(db, now)] == [("b", "finished")]
    assert sorted(job["status"] for job in running.jobs()) == ["finished", "running", "running"]
    assert asked == [False, True, True, False]
