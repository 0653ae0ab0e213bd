"""`tallymark jobs`: all jobs in a table, or as JSON."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg.types.json import Jsonb
from rich.cells import cell_len
from rich.text import Text

from tallymark import functions
from tallymark.cli import cli
from tallymark.plain import plain
from tallymark.terminal.tables import Column, table_lines
from tallymark.terminal.text import ago, bar, cut, duration, speed, wrapped

Connection = psycopg.Connection[Any]

STATUSES = {
    "completed": "finished",
    "failed": "failed",
    "paused": "paused",
    "waiting": "waiting",
    "cancelled": "cancelled",
    "credential_expiry": "credential_expired",
    "credential_renewal": "waiting_credential_renewal",
    "credential_resumed": "credential_renewed",
    "processing": "running",
}


def run(url: str, *arguments: str, **environ: str) -> Result:
    """Run `tallymark jobs`, without a terminal unless the environment says that there is one."""
    return CliRunner(env=environ).invoke(cli, ["jobs", *arguments, "--database-url", url])


def report(db: Connection, job_id: str, **members: object) -> None:
    """Report on a job, and register it first if it is new."""
    db.execute("SELECT tallymark.create_job(%s)", [job_id])
    db.execute("SELECT tallymark.merge_progress(%s, %s)", [job_id, Jsonb({"status": "processing", **members})])


def terminal(width: int) -> dict[str, str]:
    """The environment of a terminal."""
    return {"FORCE_COLOR": "1", "COLUMNS": str(width), "TERM": "xterm-256color"}


def test_each_job_has_a_line_and_the_statuses_are_counted(db: Connection, db_url: str) -> None:
    """In the order of their ids: status, progress, summary, stage, and the time since the last update."""
    for status, job_status in STATUSES.items():
        report(db, f"job_{job_status}", status=status, processedItems=60, totalItems=200, stage="pages")
    db.execute("SELECT tallymark.create_job('job_queued')")
    done = run(db_url)
    assert done.exit_code == 0
    headings, *lines, last = done.stdout.splitlines()
    assert headings.split() == ["job", "status", "progress", "summary", "stage", "rate", "updated"]
    assert [line.split()[:2] for line in lines] == [
        [f"job_{status}", status] for status in sorted([*STATUSES.values(), "queued"])
    ]
    assert all("30.0%  60/200 items (30%)  pages " in line for line in lines if "queued" not in line)
    assert all(line.endswith((" now", " s ago")) for line in lines)
    assert last == (
        "10 jobs: 1 queued, 1 running, 1 waiting, 1 finished, 1 failed, 1 paused, 1 cancelled, 1 credential_expired, "
        "1 waiting_credential_renewal, 1 credential_renewed"
    )


def test_a_job_that_finished_short_says_how_many_items_are_missing(db: Connection, db_url: str) -> None:
    """In its line; in a narrow terminal in the line below."""
    report(db, "j", status="completed", totalsByType={"pages": 1500}, itemsByType={"pages": 3})
    _headings, line, last = run(db_url).stdout.splitlines()
    assert "finished, 1,497 short" in line
    assert last == "1 job: 1 finished"
    narrow = Text.from_ansi(run(db_url, **terminal(80)).stdout).plain.splitlines()
    assert any(line.strip() == "1,497 short" for line in narrow)


def test_without_jobs_it_says_how_to_make_one(db: Connection, db_url: str) -> None:  # noqa: ARG001 - makes the database
    """On standard error, so that a script gets nothing."""
    done = run(db_url)
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "no jobs yet: register one with `tallymark job create JOB`\n"
    assert json.loads(run(db_url, "--json").stdout) == {"jobs": [], "next": None}
    assert run(db_url, "--status", "running").stderr == "no job matches\n"


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--status", "finished"], ["a_done"]),
        (["--stage", "pages"], ["a_pages"]),
        (["--operation-type", "discovery"], ["b_find"]),
        (["--item-type", "issues"], ["b_issues"]),
        (["--q", "_"], ["a_done", "a_pages", "b_find", "b_issues"]),
        (["--q", "iss"], ["b_issues"]),
        (["--prefix", "b_"], ["b_find", "b_issues"]),
        (["--since", "1h"], ["a_pages", "b_find", "b_issues"]),
        (["--since", "2d"], ["a_done", "a_pages", "b_find", "b_issues"]),
        (["--since", "99999w"], ["a_done", "a_pages", "b_find", "b_issues"]),
        (["--since", "2125-01-01"], []),
        (["--prefix", "b_", "--item-type", "issues"], ["b_issues"]),
        (["--attribute", "team=search"], ["b_find", "b_issues"]),
        (["--attribute", "team=search", "--attribute", "size=3"], ["b_find"]),
        (["--series", "nightly"], ["b_issues"]),
        (["--parent", "all"], ["b_find"]),
    ],
)
def test_jobs_are_found_by_what_they_are(db: Connection, db_url: str, arguments: list[str], found: list[str]) -> None:
    """Each option narrows the list, alone and together with the others."""
    functions.create_job(db, "b_find", {"team": "search", "size": 3}, parent="all")
    functions.create_job(db, "b_issues", {"team": "search", "series": "nightly"})
    report(db, "a_done", status="completed")
    report(db, "a_pages", stage="pages")
    report(db, "b_find", operationType="discovery")
    report(db, "b_issues", itemsByType={"issues": 3})
    db.execute("UPDATE tallymark.job SET updated_at = now() - interval '1 day' WHERE id = 'a_done'")
    assert [job["id"] for job in json.loads(run(db_url, *arguments, "--json").stdout)["jobs"]] == found


@pytest.mark.parametrize("since", ["soon", "1y", "-1h", "2025-13-01", ""])
def test_a_time_that_is_none_is_refused(db: Connection, db_url: str, since: str) -> None:  # noqa: ARG001 - makes the database
    """The message has examples of valid times."""
    done = run(db_url, "--since", since)
    assert done.exit_code == 2
    assert "such as 2d or 12h" in done.output


def test_scripts_get_what_http_gives(db: Connection, db_url: str) -> None:
    """The same documents, and the cursor of the next page."""
    for job_id in "abc":
        report(db, job_id, processedItems=1)
    first = json.loads(run(db_url, "--limit", "2", "--json").stdout)
    assert first == functions.list_jobs(db, max_jobs=2)
    rest = json.loads(run(db_url, "--cursor", first["next"], "--json").stdout)
    assert rest == {"jobs": functions.list_jobs(db)["jobs"][2:], "next": None}
    assert f"there are more: see --limit, or --cursor {first['next']}" in run(db_url, "--limit", "2").stdout


def test_more_jobs_than_a_page_holds_are_listed_over_pages(db: Connection, db_url: str) -> None:
    """Each job is listed once, in order, and the limit holds."""
    db.execute("SELECT count(tallymark.create_job('job_' || lpad(n::text, 5, '0'))) FROM generate_series(1, 2100) AS n")
    page = json.loads(run(db_url, "--limit", "2050", "--json").stdout)
    assert [job["id"] for job in page["jobs"]] == [f"job_{n:05}" for n in range(1, 2051)]
    page = json.loads(run(db_url, "--limit", "2050", "--json", "--cursor", page["next"]).stdout)
    assert ([job["id"] for job in page["jobs"]][-1], len(page["jobs"]), page["next"]) == ("job_02100", 50, None)
    assert run(db_url, "--limit", "9999").stdout.splitlines()[-1] == "2100 jobs: 2100 queued"


@pytest.mark.parametrize("width", [40, 80, 130, 200])
def test_a_screen_has_no_line_that_is_too_long_and_ids_can_be_told_apart(
    db: Connection, db_url: str, width: int
) -> None:
    """Ids of 255 letters are cut in the middle; columns that do not fit a narrow screen are in a second line."""
    for job_id in ("x" * 254 + "1", "x" * 254 + "2", "日本語" * 85):
        report(db, job_id, status="started", stage="s" * 100, processedItems=2**52, totalItems=2**53 - 1)
    report(db, "renewal", status="credential_renewal")
    db.execute("SELECT tallymark.request_command('renewal', 'pause')")
    drawn = run(db_url, **terminal(width)).stdout
    lines = [Text.from_ansi(line).plain for line in drawn.splitlines()]
    assert max(cell_len(line) for line in lines) <= width
    assert "\x1b[" in drawn, "coloured"
    assert [line.split()[0][-1] for line in lines if line.startswith("xxxx")] == ["1", "2"]
    assert all("…" in line for line in lines if line.startswith("xxxx"))
    if width >= 80:
        assert any("waiting_credential_renewal" in line for line in lines)
        assert any("pause" in line for line in lines)
        assert sum("ssssss" in line for line in lines) == 3


def test_where_there_is_no_terminal_nothing_is_cut_and_nothing_coloured(db: Connection, db_url: str) -> None:
    """One line per job, whatever is in it."""
    long, evil = "x" * 255, "evil [red]x[/red] \x1b[31m \n \u202e :smile:"
    report(db, long, stage="s" * 100)
    report(db, evil, stage="[bold]\x07", currentDataType="\x1b[2J")
    _headings, first, second, last = run(db_url, COLUMNS="80").stdout.splitlines()
    assert first.startswith(r"evil [red]x[/red] \x1b[31m \n \u202e :smile:  ")
    assert r"[bold]\x07" in first
    assert second.startswith(f"{long}  running  ")
    assert "s" * 100 in second
    assert last == "2 jobs: 2 running"


def test_jobs_that_fell_silent_are_marked(db: Connection, db_url: str) -> None:
    """The marks follow `stalled_jobs`, on screens of any width."""
    for job_id in ("silent", "silent_a_little", "talking"):
        for n in range(3):
            report(db, job_id, processedItems=n)
    db.execute("UPDATE tallymark.job SET updated_at = now() - interval '1 hour' WHERE id = 'silent'")
    db.execute("UPDATE tallymark.job_event SET recorded_at = now() - interval '1 hour' WHERE job_id = 'silent'")
    lines = run(db_url).stdout.splitlines()
    assert [line.split()[:3] for line in lines[1:3]] == [
        ["silent", "running,", "stalled"],
        ["silent_a_little", "running", "─" * 20],
    ]
    assert lines[1].endswith(" 1 h ago")
    assert lines[-1] == "3 jobs: 3 running (1 stalled)"
    narrow = [Text.from_ansi(line).plain for line in run(db_url, **terminal(80)).stdout.splitlines()]
    assert narrow[2] == "    stalled, 0/s"


def test_a_job_that_is_alive_and_makes_no_progress_is_told_from_a_silent_one(db: Connection, db_url: str) -> None:
    """A waiting job says until when and for what; one that was never reported on is marked after an hour."""
    for job_id in ("alive", "gone"):
        for n in range(3):
            report(db, job_id, processedItems=n)
    db.execute("SELECT tallymark.create_job('new')")
    report(db, "waits", status="waiting", waitUntil="2099-01-06T19:15:30Z", reason="rate limit")
    db.execute(
        "UPDATE tallymark.job SET updated_at = now() - interval '2 hours', created_at = now() - interval '2 hours'"
    )
    db.execute("UPDATE tallymark.job_event SET recorded_at = now() - interval '2 hours'")
    db.execute("SELECT tallymark.note_alive('alive')")
    lines = run(db_url).stdout.splitlines()
    marked = [" ".join(line.split()[1:4]) for line in lines[1:5]]
    assert [mark.split(" ─")[0] for mark in marked] == [
        *("running, stuck", "running, stalled", "queued, never reported", "waiting"),
    ]
    assert lines[-1] == "4 jobs: 1 queued (1 never reported), 2 running (1 stalled, 1 stuck), 1 waiting"
    narrow = [Text.from_ansi(line).plain for line in run(db_url, **terminal(80)).stdout.splitlines()]
    assert "    until 19:15:30Z: rate limit" in narrow
    calm = run(db_url, TALLYMARK_NEVER_REPORTED_AFTER="0").stdout.splitlines()
    assert calm[-1] == "4 jobs: 1 queued, 2 running (1 stalled, 1 stuck), 1 waiting"


def test_rates_are_told_of_running_jobs_and_of_no_more_than_fifty(db: Connection, db_url: str) -> None:
    """Each rate costs a query, so a list of thousands must not ask for all of them."""
    report(db, "a_done", status="completed", processedItems=5)
    for n in range(55):
        report(db, f"job_{n:02}", processedItems=1, totalItems=10)
    db.execute("UPDATE tallymark.job_event SET recorded_at = now() - interval '100 seconds' WHERE job_id = 'job_00'")
    report(db, "job_00", processedItems=5)
    lines = run(db_url).stdout.splitlines()
    assert "/s" not in lines[1]
    assert sum("/s" in line or "/min" in line for line in lines) == 50
    # 4 in 100 seconds, so 5 take 125.
    assert lines[2].split()[-6:-4] == ["2.4/min", "2"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (125, "2 min 5 s"),
        (3599, "59 min"),
        (7500, "2 h 5 min"),
        (90_000, "1 d 1 h"),
        (20 * 86_400 + 7200, "20 d"),
        (400 * 86_400, "400 d"),
        (3 * 31_557_600, "3 years"),
        (1e20, "over 100 years"),
    ],
)
def test_durations_read_well(seconds: float, words: str) -> None:
    """In one unit or two."""
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("rate", "words"),
    [(0, "0/s"), (1234.5, "1234/s"), (12.345, "12.3/s"), (0.5, "30/min"), (0.001, "3.6/h")],
)
def test_rates_read_well(rate: float, words: str) -> None:
    """In the unit in which they are 1 or more."""
    assert speed(rate) == words


def test_ages_read_well() -> None:
    """Even if the clock of a standby is behind."""
    now = datetime(2025, 1, 6, 12, tzinfo=UTC)
    spans = (-5, 0, 3, 65, 7300, 3 * 86_400)
    assert [ago(now - timedelta(seconds=span), now) for span in spans] == [
        "now", "now", "3 s ago", "1 min ago", "2 h ago", "3 d ago",
    ]  # fmt: skip


def test_a_bar_is_full_only_when_all_is_done() -> None:
    """The bar can show halves of a character."""
    drawn = [bar(part, 4, "green").plain for part in (None, 0, 0.124, 0.125, 0.25, 0.999, 1, 1.5)]
    assert drawn == ["────", "────", "────", "╸───", "━───", "━━━╸", "━━━━", "━━━━"]


def test_texts_are_made_to_fit() -> None:
    """The width counts the columns of a terminal; some letters take two."""
    assert cut(Text("abcdef"), 5, middle=True).plain == "ab…ef"
    assert cut(Text("日本語日本語"), 6, middle=True).plain == "日…語"
    assert cut(Text("abcdef"), 5).plain == "abcd…"
    assert [line.plain for line in wrapped(Text("one two three"), 8)] == ["one two", "three"]
    assert [line.plain for line in wrapped(Text("日本語"), 4)] == ["日本", "語"]
    assert plain("a\u00a0b\ud800") == r"a\xa0b\ud800"
    lines = table_lines([Column("a", least=3), Column("b", right=True)], [[Text("x" * 50), Text("12")]], 10)
    assert [line.plain for line in lines] == ["a        b", "xxxxx…  12"]
    columns = [Column("a", least=3), Column("b", least=7), Column("c")]
    lines = table_lines(columns, [[Text("x" * 50), Text("y" * 50), Text("12")]], 17)
    assert lines[1].plain == "xxx…  yyyyyy…  12", "no column gets less than it needs, and all of the last one fits"
