"""`tallymark job`: a job is registered, shown, and given commands."""

import json
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg.types.json import Jsonb

from tallymark import functions
from tallymark.cli import cli

Connection = psycopg.Connection[Any]


def run(url: str, *arguments: str, **environ: str) -> Result:
    """Run `tallymark job` as a script would, without a terminal."""
    return CliRunner(env=environ).invoke(cli, ["job", *arguments, "--database-url", url])


def report(db: Connection, job_id: str, **members: object) -> None:
    """Report on a job, and register it first if it is new."""
    db.execute("SELECT tallymark.create_job(%s)", [job_id])
    db.execute("SELECT tallymark.merge_progress(%s, %s)", [job_id, Jsonb({"status": "processing", **members})])


def test_a_job_is_registered_once_with_its_attributes(db: Connection, db_url: str) -> None:
    """The second time changes nothing, and says so."""
    first = run(db_url, "create", "j", "--attributes", '{"counting": "cumulative"}')
    assert (first.exit_code, first.output) == (0, "job j is registered\n")
    assert run(db_url, "create", "j").output == "job j was registered before\n"
    assert db.execute("SELECT id, attributes FROM tallymark.job").fetchall() == [("j", {"counting": "cumulative"})]


def test_a_script_is_told_of_a_registered_job_as_json(db: Connection, db_url: str) -> None:
    """The job, and whether it is new."""
    first, second = (json.loads(run(db_url, "create", "j", "--json").stdout) for _ in range(2))
    assert (first.pop("created"), second.pop("created")) == (True, False)
    assert first == second == functions.get_job(db, "j")


@pytest.mark.parametrize("attributes", ["{", "[]", "7"])
def test_attributes_that_are_no_object_are_refused(db: Connection, db_url: str, attributes: str) -> None:
    """The job is not registered then."""
    assert run(db_url, "create", "j", "--attributes", attributes).exit_code == 2
    assert db.execute("SELECT count(*) FROM tallymark.job").fetchone() == (0,)


def test_a_command_waits_for_the_crawler_and_is_on_the_record(db: Connection, db_url: str) -> None:
    """The next acknowledgement carries it, and the ledger says who asked."""
    run(db_url, "create", "j")
    asked = run(db_url, "command", "j", "pause", "--by", "ann")
    assert (asked.exit_code, asked.output) == (0, "job j, which is queued, is asked to pause\n")
    shown = json.loads(run(db_url, "show", "j", "--json").output)
    assert shown["command"] == "pause"
    assert [(e["event"], e["details"]) for e in shown["progress"]["timeline"]] == [
        ("command_requested", {"command": "pause", "requestedBy": "ann"})
    ]
    assert "pause; the crawler has not obeyed yet" in run(db_url, "show", "j").output
    ack = db.execute("SELECT tallymark.merge_progress('j', '{}') ->> 'command'").fetchone()
    assert ack == ("pause",)


def test_a_script_is_told_of_a_command_as_json(db: Connection, db_url: str) -> None:
    """The job, and the command."""
    run(db_url, "create", "j")
    assert json.loads(run(db_url, "command", "j", "resume", "--json").stdout)["command"] == "resume"
    assert functions.get_job(db, "j")["command"] == "resume"


def test_what_cannot_be_done_is_said_in_one_line(db: Connection, db_url: str) -> None:
    """The job is unknown or has ended, or there is no such command or event."""
    assert "Job not found" in run(db_url, "command", "gone", "pause").output
    assert "Job not found" in run(db_url, "show", "gone").output
    report(db, "j", status="completed")
    ended = run(db_url, "command", "j", "cancel")
    assert ended.exit_code == 2
    assert "Job has ended. The job is finished" in ended.output
    assert run(db_url, "command", "j", "explode").exit_code == 2
    assert "must be 0 to 1" in run(db_url, "show", "j", "--at", "7").output


def test_people_see_what_a_job_is_at_and_how_it_got_there(db: Connection, db_url: str) -> None:
    """Progress, counts in proportion, stages, the last error, resume state, and the newest events."""
    run(db_url, "create", "j", "--attributes", '{"account": "acme"}')
    report(db, "j", status="started", stage="groups", totalItems=500, timestamp="2025-01-06T19:00:00Z")
    report(
        db,
        "j",
        stage="issues",
        processedItems=150,
        currentDataType="issues",
        itemsByType={"issues": 100, "notes": 50},
        lastProcessedId="i-150",
        progress={"page": 7},
        error={"type": "HTTPError", "message": "502 Bad Gateway"},
        timestamp="2025-01-06T19:01:30Z",
    )
    lines = run(db_url, "show", "j").output.splitlines()
    assert lines[0] == "j"
    assert lines[1].startswith("running  ━━━━━━━━━━━━─")
    assert lines[1].endswith(" 30.0%  150/500 items (30%)")
    facts = {line[:14].strip(): line[14:] for line in lines}
    assert facts["last error"].startswith("HTTPError: 502 Bad Gateway  ")
    assert facts["last id"] == "i-150"
    assert facts["resume state"] == '{"page": 7}'
    assert facts["attributes"] == '{"account": "acme"}'
    assert facts["started"].startswith("2025-01-06 19:00:00Z, ")
    [issues] = [line for line in lines if line.startswith("issues ")]
    [notes] = [line for line in lines if line.startswith("notes ")]
    assert (issues.count("━"), notes.count("━")) == (40, 20)
    [groups] = [line.split() for line in lines if " groups " in line and "events" not in line and "→" not in line]
    assert groups == ["1", "groups", "2025-01-06", "19:00:00Z", "1", "min", "30", "s"]
    [event] = [line for line in lines if "→" in line]
    assert "HTTPError: 502 Bad Gateway, groups → issues, 150 processed, " in event


def test_people_see_the_books_of_a_job_and_what_is_missing(db: Connection, db_url: str) -> None:
    """A line for each type, of which most are left first; in orange what is missing from a finished job."""
    totals = {"issues": 1500, "notes": 2}
    report(db, "j", status="started", totalsByType=totals, timestamp="2025-01-06T19:00:00Z")
    report(
        db,
        "j",
        itemsByType={"issues": 1000, "notes": 3, "labels": 5},
        failedByType={"issues": 20},
        skippedByType={"issues": 10},
        timestamp="2025-01-06T19:01:00Z",
    )
    lines = run(db_url, "show", "j").output.splitlines()
    [heading] = [place for place, line in enumerate(lines) if line.split()[:2] == ["type", "done"]]
    assert lines[heading].split() == ["type", "done", "failed", "skipped", "left", "total"]
    assert [line.split()[:6] for line in lines[heading + 1 : heading + 4]] == [
        ["issues", "1,000", "20", "10", "470", "1,500"],
        ["labels", "5", "0", "0", "?", "?"],
        ["notes", "3", "0", "0", "0", "2"],
    ]
    assert "2 (1 over)" in lines[heading + 3]
    assert not any(line.startswith("missing") for line in lines)
    [event] = [line for line in lines if "1000" in line and "failed" in line]
    assert "issues 20 failed, issues 10 skipped" in event

    report(db, "j", status="completed", timestamp="2025-01-06T19:02:00Z")
    lines = run(db_url, "show", "j").output.splitlines()
    assert lines[1].startswith("finished, 470 short  ")
    assert "missing       470 issues" in lines
    assert any("470 short, " in line for line in lines)


def test_an_event_says_which_of_its_items_were_seen_before(db: Connection, db_url: str) -> None:
    """By type; where none was, nothing is said of that."""
    report(db, "j", itemKeys={"pages": ["a", "b"]}, updateId="1")
    report(db, "j", itemKeys={"pages": ["b", "c"], "files": ["a"]}, updateId="2")
    first, second = [line for line in run(db_url, "show", "j").output.splitlines() if "progress_up" in line]
    assert "pages 2" in first
    assert "before" not in first
    assert "files 1, pages 1, pages 1 seen before" in second


def test_a_job_is_shown_as_it_was(db: Connection, db_url: str) -> None:
    """To people and to scripts."""
    for n in (1, 2, 3):
        report(db, "j", processedItems=n, updateId=str(n))
    assert "2 items" in run(db_url, "show", "j", "--at", "2").output
    assert "as it was after event 2" in run(db_url, "show", "j", "--at", "2").output
    assert "as it was before its first event" in run(db_url, "show", "j", "--at", "0").output
    shown = json.loads(run(db_url, "show", "j", "--at", "2", "--json").stdout)
    assert shown == functions.job_at(db, "j", 2, timeline_limit=10)


def test_as_many_events_are_shown_as_are_asked_for(db: Connection, db_url: str) -> None:
    """The newest ones come first; 0 shows none."""
    for n in range(1, 5):
        report(db, "j", message=f"message {n}", updateId=str(n))
    events = [line for line in run(db_url, "show", "j", "--timeline", "2").output.splitlines() if "progress_up" in line]
    assert [line.split()[0] for line in events] == ["3", "4"]
    assert "progress_up" not in run(db_url, "show", "j", "--timeline", "0").output


@pytest.mark.parametrize("width", [30, 80, 200])
def test_what_a_crawler_wrote_cannot_do_anything_to_the_terminal(db: Connection, db_url: str, width: int) -> None:
    """Control characters and markup have no effect, and no line is longer than the screen is wide."""
    evil = "\x1b]0;title\x07 \x1b[2J [red]markup[/red] [/] \r\n\t \u202eback :smile: 日本語 " + "x" * 150
    report(
        db,
        evil,
        stage=evil[:90],
        message=evil,
        lastProcessedId=evil,
        itemsByType={evil[:90]: 1},
        error={"type": evil, "message": evil},
        progress={evil: evil},
        credentialStatus={"message": evil},
        timeline=[
            {"event": evil[:90], "timestamp": "2025-01-06T19:00:00Z", "details": {evil: [evil], "status": {}}},
            {"event": "own", "timestamp": "2025-01-06T19:00:00Z", "details": [evil]},
            {"event": "own", "timestamp": "2025-01-06T19:00:00Z", "details": {"status": 7, "duration": "long"}},
        ],
    )
    plain = run(db_url, "show", evil).output
    assert not set(plain) & {"\x1b", "\x07", "\r", "\t", "\u202e"}
    assert "[red]markup[/red] [/]" in plain
    assert r"\x1b]0;title\x07" in plain
    drawn = run(db_url, "show", evil, COLUMNS=str(width), FORCE_COLOR="1", NO_COLOR="1").output
    assert not set(drawn) & {"\x07", "\r", "\t", "\u202e"}
    from rich.cells import cell_len
    from rich.text import Text

    assert max(cell_len(Text.from_ansi(line).plain) for line in drawn.splitlines()) <= width


def test_a_terminal_without_unicode_gets_all_of_it_in_ascii(db: Connection, db_url: str) -> None:
    """Letters that the terminal lacks are replaced, and the command does not fail."""
    report(db, "日本", processedItems=1, totalItems=2)
    done = CliRunner(charset="ascii").invoke(cli, ["job", "show", "日本", "--database-url", db_url])
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[0] == "??"
    assert "####################--------------------  50.0%  1/2 items (50%)" in done.output


def test_each_event_of_a_shown_job_says_what_it_brought(db: Connection, db_url: str) -> None:
    """Also one that brought no count, such as the update after a wait."""
    report(db, "j", totalItems=40)
    report(db, "j", status="waiting", reason="rate limit")
    report(db, "j")
    report(db, "j", processedItems=3)
    lines = run(db_url, "show", "j").output.splitlines()
    said = [line.partition("progress_update  ")[2] for line in lines if "progress_update" in line]
    assert said == ["40 expected", "waiting, reason rate limit", "at work, nothing new to count", "3 processed"]


def test_what_is_part_of_a_job_is_shown_with_it(db: Connection, db_url: str) -> None:
    """The sums and each part; and a part says what it is part of, and which series it is a run of."""
    run(db_url, "create", "all")
    for part in ("all/1", "all/2"):
        assert run(db_url, "create", part, "--parent", "all", "--series", "nightly").exit_code == 0
        report(db, part, itemsByType={"issues": 4}, totalItems=10)
    shown = run(db_url, "show", "all").output
    assert "2 parts (2 running): 8/20 issues (40%)" in shown
    assert "all/2  running  4/10 issues (40%)" in shown
    part = run(db_url, "show", "all/1").output
    assert "part of       all" in part
    assert '{"series": "nightly"}' in part.replace("'", '"')


def test_the_usual_count_of_large_runs_is_shown_to_the_last_item(db: Connection, db_url: str) -> None:
    """Not rounded to some digits, as `1.23457e+06` is; and one item is not called items."""
    for run, items in (("r1", 1234567), ("r2", 1)):
        functions.create_job(db, run, {"series": "large"})
        report(db, run, timestamp="2025-01-06T10:00:00Z", status="started")
        report(db, run, timestamp="2025-01-06T10:01:00Z", itemsByType={"pages": items})
    report(db, "r1", timestamp="2025-01-06T10:02:00Z", status="completed")
    said = "1 item after 1 min; usual by then 1,234,567 (1,234,567 to 1,234,567 in 1 run), in all 1,234,567 in 2 min"
    assert said in run_show(db_url, "r2")


def test_a_run_of_a_series_is_shown_beside_the_runs_before_it(db: Connection, db_url: str) -> None:
    """What is usual by then and in all, when it will end, and whether it is unusual."""
    for run, items in (("r1", 40), ("r2", 44), ("r3", 42), ("r4", 2)):
        functions.create_job(db, run, {"series": "nightly"})
        for minute in range(11 if run != "r4" else 6):
            at = f"2025-01-06T10:{minute:02}:00Z"
            report(db, run, timestamp=at, updateId=str(minute), itemsByType={"pages": items if minute else 0})
        if run != "r4":
            report(db, run, timestamp="2025-01-06T10:10:01Z", status="completed")
    shown = run_show(db_url, "r4")
    assert "series nightly" in shown
    assert "10 items after 5 min; usual by then 210 (200 to 220 in 3 runs), in all 420 in 10 min" in shown
    assert "expected end 2025-01-06" in shown
    assert "unusual: less than half of the lowest of these" in shown
    assert "r3 finished 420 pages 10 min" in shown
    assert "no run before this one has finished" in run_show(db_url, "r1")


def run_show(url: str, job_id: str) -> str:
    """Return the words that `job show` prints of a job, without its events."""
    return " ".join(run(url, "show", job_id, "--timeline", "0", COLUMNS="200").output.split())
