"""`tallymark job diagnose` names each thing that is wrong with a job, and calls a healthy one healthy."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg.types.json import Jsonb

from tallymark import functions
from tallymark.cli import cli
from tallymark.functions.diagnosis import Finding

Connection = psycopg.Connection[Any]
Update = dict[str, Any]


def run(url: str, *arguments: str) -> Result:
    """Run `tallymark job diagnose` as a script would, without a terminal."""
    return CliRunner().invoke(cli, ["job", "diagnose", *arguments, "--database-url", url])


def report(db: Connection, job: str, updates: Iterable[Update]) -> None:
    """Report on a job, and register it first if it is new."""
    db.execute("SELECT tallymark.create_job(%s)", [job])
    for update in updates:
        db.execute("SELECT tallymark.merge_progress(%s, %s)", [job, Jsonb({"status": "processing", **update})])


def crawl(updates: int = 30, *, items: int = 20, **members: object) -> list[Update]:
    """Return the updates of a crawler that does everything right, with synchronous clocks."""
    return [
        {
            "updateId": f"{members.get('workerId', '')} {items} {number}",
            "timestamp": datetime.now(UTC).isoformat(),
            "processedItems": number * items,
            "totalItems": 10_000,
            "itemsByType": {"issues": items},
            **members,
        }
        for number in range(1, updates + 1)
    ]


def move_back(db: Connection, job: str, by: str) -> None:
    """Move all times of a job into the past by this much."""
    db.execute("UPDATE tallymark.job_event SET recorded_at = recorded_at - %s::interval WHERE job_id = %s", [by, job])
    db.execute(
        "UPDATE tallymark.job SET updated_at = updated_at - %s::interval, created_at = created_at - %s::interval"
        " WHERE id = %s",
        [by, by, job],
    )


def found(db: Connection, job: str, *, verify: bool | None = None) -> dict[str, Finding]:
    """Return the findings by their codes."""
    diagnosis = functions.diagnose_job(db, job, verify=verify)
    findings = [finding for scenario in diagnosis["scenarios"] for finding in scenario["findings"]]
    assert len({finding["code"] for finding in findings}) == len(findings)
    assert all(finding["next"] for finding in findings if finding["severity"] in {"warning", "problem"})
    return {finding["code"]: finding for finding in findings}


def wrong(findings: dict[str, Finding]) -> dict[str, str]:
    """Return the findings that are not ok."""
    return {code: finding["severity"] for code, finding in findings.items() if finding["severity"] != "ok"}


def test_a_healthy_job_is_called_healthy(db: Connection, db_url: str) -> None:
    """In one sentence first, then the three questions in their order; exit 0."""
    report(db, "j", crawl())
    assert wrong(found(db, "j")) == {}
    result = run(db_url, "j")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[0] == "job j: Nothing is wrong with this job, which is running."
    titles = [line for line in lines if line and not line.startswith((" ", "job"))]
    assert titles == ["Stalled progress", "Data inconsistencies", "Performance"]


def test_several_named_workers_and_an_end_are_healthy(db: Connection) -> None:
    """Workers' updates may arrive in any order."""
    pairs = zip(crawl(workerId="a"), crawl(workerId="b", items=30), strict=True)
    report(db, "j", [update for pair in pairs for update in sorted(pair, key=lambda update: str(update["timestamp"]))])
    report(db, "j", [{"status": "completed"}])
    findings = found(db, "j")
    assert set(wrong(findings)) <= {"late_updates"}
    assert findings["workers"]["facts"]["workers"] == 3
    assert "ended" in findings


def test_who_reported_last_is_told(db: Connection) -> None:
    """The finding has the status, and the time by both clocks."""
    at = datetime.now(UTC) - timedelta(seconds=30)
    report(db, "j", [{"workerId": "w7", "timestamp": at.isoformat(), "status": "paused", "message": "taking a rest"}])
    finding = found(db, "j")["last_update"]
    assert "worker w7 with the status paused: taking a rest" in finding["says"]
    assert datetime.fromisoformat(finding["facts"]["occurredAt"]) == at
    assert datetime.fromisoformat(finding["facts"]["recordedAt"]) > at
    assert "not_running" in found(db, "j")


def test_a_silent_job_is_told_by_its_own_habit(db: Connection, db_url: str) -> None:
    """It used to report every few moments, and has been silent for two hours."""
    report(db, "j", crawl(timestamp=None))
    move_back(db, "j", "2 hours")
    findings = found(db, "j")
    assert findings["silent"]["severity"] == "problem"
    assert "silent for 2 hours" in findings["silent"]["says"]
    result = run(db_url, "j")
    assert result.exit_code == 1
    assert result.output.startswith("job j: 1 problem: It is running and has been silent for 2 hours")


def test_a_job_that_nobody_ever_reported_on_is_told(db: Connection, db_url: str) -> None:
    """The finding does not appear at once."""
    db.execute("SELECT tallymark.create_job('j')")
    assert wrong(found(db, "j")) == {"never_reported": "note"}
    assert run(db_url, "j").exit_code == 0
    move_back(db, "j", "1 hour")
    assert wrong(found(db, "j")) == {"never_reported": "warning"}


def test_a_command_that_is_not_obeyed_is_told(db: Connection) -> None:
    """The crawler learns of the command with its next report. If it goes on after that, it disobeys."""
    report(db, "j", crawl(10))
    functions.request_command(db, "j", "pause", requested_by="ann")
    finding = found(db, "j")["command_waiting"]
    assert (finding["severity"], finding["facts"]["requestedBy"]) == ("note", "ann")
    report(db, "j", crawl(10, items=21))
    assert found(db, "j")["command_waiting"]["severity"] == "warning"


def test_missing_credentials_are_told_with_what_to_do(db: Connection) -> None:
    """The crawler's own message comes first. With new credentials the finding is gone."""
    credential = {"providerId": "gitlab", "adminGuidance": ["Ask Bob."]}
    report(db, "j", [*crawl(), {"status": "credential_expiry", "credentialStatus": credential}])
    finding = found(db, "j")["credentials"]
    assert finding["severity"] == "problem"
    assert finding["next"] is not None
    assert finding["next"].startswith("Ask Bob. The credentials of gitlab have expired")
    report(db, "j", [{"status": "credential_resumed"}])
    assert found(db, "j")["credentials"]["severity"] == "ok"


def test_errors_and_a_failure_are_told(db: Connection) -> None:
    """The finding has the crawler's last message. Old errors are only a note."""
    errors = [{"error": {"type": "Timeout", "message": f"after {n} s"}} for n in (1, 2)]
    report(db, "j", [*crawl(), *errors])
    finding = found(db, "j")["errors"]
    assert (finding["severity"], finding["facts"]["errors"]) == ("warning", 2)
    assert finding["says"].endswith("Timeout, after 2 s.")
    report(db, "j", [{"status": "failed", "message": "gave up"}])
    assert wrong(found(db, "j")) == {"failed": "problem", "errors": "note"}


def note(db: Connection, **entry: object) -> None:
    """Record a refused or repeated update, as the endpoint does."""
    db.execute("SELECT tallymark.note_intake(%s)", [Jsonb([{"jobId": "j", **entry}])])


def test_refusals_are_told_and_that_a_silent_crawler_is_refused(db: Connection) -> None:
    """With the problem. An update that is accepted removes the second finding."""
    report(db, "j", crawl())
    note(db, outcome="refused", code="TK400", times=3, problem="processedItems must be a number")
    findings = found(db, "j")
    assert wrong(findings) == {"only_refused": "problem", "refused": "warning"}
    assert "processedItems must be a number" in findings["only_refused"]["says"]
    assert findings["refused"]["facts"]["codes"] == {"TK400": 3}
    report(db, "j", [{"processedItems": 700}])
    assert wrong(found(db, "j")) == {"refused": "warning"}


def test_duplicates_are_told_and_many_of_them_are_a_warning(db: Connection) -> None:
    """A few duplicates are normal retries."""
    report(db, "j", crawl())
    note(db, outcome="duplicate", times=2)
    assert wrong(found(db, "j")) == {"duplicates": "note"}
    note(db, outcome="duplicate", times=30)
    assert wrong(found(db, "j")) == {"duplicates": "warning"}


def test_what_was_refused_of_an_earlier_job_of_this_name_is_not_told(db: Connection) -> None:
    """It was deleted."""
    report(db, "j", crawl())
    note(db, outcome="refused", code="TK400", times=3, problem="x")
    db.execute("UPDATE tallymark.job_intake SET last_at = last_at - interval '1 hour'")
    assert wrong(found(db, "j")) == {}


def test_late_updates_are_told(db: Connection) -> None:
    """Late updates are counted like others, so the finding is a note."""
    late = {"timestamp": (datetime.now(UTC) - timedelta(hours=3)).isoformat(), "processedItems": 5}
    report(db, "j", [*crawl(), late])
    findings = found(db, "j")
    assert wrong(findings) == {"late_updates": "note"}
    assert (
        "1 of 31 updates came after one that had happened later, by up to 3 hours" in findings["late_updates"]["says"]
    )


@pytest.mark.parametrize(("off", "code", "severity"), [(1, "clock_ahead", "warning"), (-1, "clock_behind", "note")])
def test_a_clock_that_is_off_is_told(db: Connection, off: int, code: str, severity: str) -> None:
    """By how much."""
    at = datetime.now(UTC) + timedelta(hours=off)
    updates = [{**update, "timestamp": (at + timedelta(seconds=n)).isoformat()} for n, update in enumerate(crawl())]
    report(db, "j", updates)
    findings = found(db, "j")
    assert wrong(findings) == {code: severity}
    assert "60 minutes" in findings[code]["says"]


@pytest.mark.parametrize(("worker", "code"), [({}, "unnamed_workers"), ({"workerId": "w"}, "shared_worker")])
def test_two_crawlers_that_are_taken_for_one_are_told(db: Connection, worker: Update, code: str) -> None:
    """Their running totals jump back and forth."""
    one, other = crawl(**worker), crawl(items=30, **worker)
    report(
        db, "j", [{**u, "timestamp": datetime.now(UTC).isoformat()} for p in zip(one, other, strict=True) for u in p]
    )
    findings = found(db, "j")
    assert findings[code]["severity"] == "problem"
    assert findings[code]["facts"]["drops"] > 10


def test_a_crawler_that_counts_anew_after_a_restart_is_no_two(db: Connection) -> None:
    """Each drop of the total follows a `started`. Repeated work is counted by type again."""
    for items in (20, 21, 22):
        stamp = {"timestamp": None}
        report(db, "j", [{"status": "started"}, *({**update, **stamp} for update in crawl(10, items=items))])
    assert wrong(found(db, "j")) == {"total_restarted": "note", "types_above_processed": "note"}


def test_running_totals_that_are_added_up_are_told_and_the_remedy_helps(db: Connection) -> None:
    """Without the remedy, the counts are far too high."""
    totals = [{**update, "itemsByType": {"issues": update["processedItems"]}} for update in crawl()]
    report(db, "j", totals)
    findings = found(db, "j")
    assert wrong(findings) == {"totals_as_increments": "problem"}
    assert findings["totals_as_increments"]["facts"]["counted"] == 20 * 30 * 31 / 2
    assert "cumulative" in str(findings["totals_as_increments"]["next"])
    functions.create_job(db, "better", {"counting": "cumulative"})
    report(db, "better", totals)
    assert wrong(found(db, "better")) == {}


def test_without_a_total_to_compare_with_they_are_a_warning(db: Connection) -> None:
    """The sign is a long series of numbers that only rises."""
    report(db, "j", [{"itemsByType": {"issues": n * 3, "users": n}} for n in range(1, 20)])
    assert wrong(found(db, "j")) == {"totals_as_increments": "warning"}
    report(db, "i", [{"itemsByType": {"issues": 20 + n % 3}} for n in range(1, 20)])
    assert wrong(found(db, "i")) == {}


def test_more_processed_than_there_are_is_told(db: Connection) -> None:
    """600 of 500 processed: each of two workers reported its own total."""
    for worker in ("a", "b"):
        report(db, "j", crawl(15, workerId=worker, totalItems=500))
    findings = found(db, "j")
    assert wrong(findings) == {"processed_above_total": "warning"}
    assert "600 of 500" in findings["processed_above_total"]["says"]


def test_large_updates_are_told_with_what_is_large_in_them(db: Connection) -> None:
    """One large update is a note, many are a warning."""
    report(db, "j", [*crawl(), {"progress": {"seen": "x" * 20_000}}])
    findings = found(db, "j")
    assert wrong(findings) == {"large_updates": "note"}
    assert findings["large_updates"]["facts"]["member"] == "progress"
    report(db, "j", [{"progress": {"seen": "x" * 20_000, "n": n}} for n in range(10)])
    assert wrong(found(db, "j")) == {"large_updates": "warning"}


@pytest.mark.parametrize(
    ("items", "gap", "expected"),
    [
        (20, "1 second", {}),
        (1, "1 second", {"few_items": "note"}),
        (1, "1 millisecond", {"too_often": "warning"}),
        (80, "1 second", {"many_items": "note"}),
        (80, "10 minutes", {"too_seldom": "warning"}),
    ],
)
def test_updates_that_are_too_many_or_too_few_are_told(
    db: Connection, items: int, gap: str, expected: dict[str, str]
) -> None:
    """The guideline is an update for every 10 to 50 items."""
    updates = crawl(items=items)
    for update in updates:
        del update["timestamp"]
    report(db, "j", updates)
    for column in ("occurred_at", "recorded_at"):
        db.execute(f"UPDATE tallymark.job_event SET {column} = now() - (30 - seq) * %s::interval", [gap])
    assert wrong(found(db, "j", verify=False)) == expected


def test_a_state_that_is_not_the_ledgers_is_told(db: Connection, db_url: str) -> None:
    """The check can be switched off; the other findings stay the same."""
    report(db, "j", crawl())
    db.execute("""UPDATE tallymark.job SET progress = progress || '{"processedItems": 601}'""")
    findings = found(db, "j")
    assert wrong(findings) == {"mismatch": "problem"}
    assert findings["mismatch"]["facts"]["field"] == "processedItems"
    assert run(db_url, "j", "--verify").exit_code == 1
    assert run(db_url, "j", "--no-verify").exit_code == 0
    db.execute("SELECT tallymark.note_verification('j')")
    assert wrong(found(db, "j", verify=False)) == {"mismatch": "problem"}


def test_a_pruned_job_is_healthy(db: Connection) -> None:
    """A note says what was pruned, even if that was every event."""
    report(db, "j", crawl())
    db.execute("SELECT tallymark.prune_job('j', 'infinity', 10)")
    findings = found(db, "j")
    assert wrong(findings) == {}
    assert findings["pruned"]["facts"]["prunedSeq"] == 20
    db.execute("SELECT tallymark.prune_job('j', 'infinity', 0)")
    assert set(wrong(found(db, "j"))) <= {"all_pruned"}


@pytest.mark.parametrize(
    "payload",
    [
        "7",
        "[1]",
        '"x"',
        "null",
        '{"processedItems": "x", "itemsByType": {"a": []}, "timestamp": {}}',
        '{"itemsByType": 7, "error": 8, "workerId": {}, "status": []}',
    ],
)
def test_a_damaged_ledger_is_told_and_ends_nothing(db: Connection, payload: str) -> None:
    """Nothing in a ledger can make the diagnosis fail."""
    report(db, "j", crawl())
    db.execute("UPDATE tallymark.job_event SET payload = %s, event = 'error' WHERE seq IN (5, 30)", [payload])
    db.execute("UPDATE tallymark.job SET progress = %s", [payload])
    assert found(db, "j")["mismatch"]["severity"] == "problem"


def test_a_script_gets_all_of_it_as_json(db: Connection, db_url: str) -> None:
    """The output of the stored function, except for the time."""
    report(db, "j", crawl())
    result = run(db_url, "j", "--json")
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert [scenario["scenario"] for scenario in told["scenarios"]] == ["stalled", "data", "performance"]
    assert set(told) == set(functions.Diagnosis.__annotations__)


def test_a_job_that_is_not_there_is_an_error(db_url: str) -> None:
    """Exit code 2, as in other commands."""
    result = run(db_url, "none")
    assert result.exit_code == 2
    assert "no job 'none'" in result.output


def test_what_a_crawler_says_cannot_steer_the_terminal(db: Connection, db_url: str) -> None:
    """Control characters are escaped."""
    report(db, "j", [{"message": "\033[2Jgone", "workerId": "w\033[1m"}])
    output = run(db_url, "j").output
    assert "\033" not in output
    assert r"\x1b[2Jgone" in output
