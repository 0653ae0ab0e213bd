"""`tallymark verify` folds the ledger again, and names the job and the first event that differs."""

import json
import secrets
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg.conninfo import make_conninfo
from psycopg.types.json import Jsonb

from tallymark import verify_differences
from tallymark.cli import database
from tallymark.cli.database import verify

Connection = psycopg.Connection[Any]


def run(url: str, *arguments: str) -> Result:
    """Run `tallymark verify` as a script would, without a terminal."""
    return CliRunner().invoke(verify, ["--database-url", url, *arguments])


def make_job(db: Connection, job_id: str) -> None:
    """Register a job and report twice on it."""
    db.execute("SELECT tallymark.create_job(%s)", [job_id])
    for second, issues in enumerate((3, 4)):
        update = {
            "taskId": job_id,
            "status": "processing",
            "timestamp": f"2026-01-01T00:00:0{second}Z",
            "itemsByType": {"issues": issues},
        }
        db.execute("SELECT tallymark.merge_progress(%s, %s)", [job_id, Jsonb(update)])


def spoil(db: Connection, job_id: str) -> None:
    """Add one to a count in the stored state, so that it differs from the ledger."""
    db.execute(
        "UPDATE tallymark.job SET progress = jsonb_set(progress, '{itemsByType,issues}', '8') WHERE id = %s", [job_id]
    )


def test_without_jobs_there_is_nothing_to_differ(db_url: str) -> None:
    """An empty database passes."""
    assert run(db_url).output == "0 jobs checked, 0 differ\n"


def test_jobs_whose_ledger_gives_their_state_pass(db: Connection, db_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All jobs are checked, over several pages, and the exit code is 0."""
    monkeypatch.setattr(database, "PAGE", 2)
    for number in range(5):
        make_job(db, f"job {number}")
    result = run(db_url)
    assert (result.exit_code, result.output) == (0, "5 jobs checked, 0 differ\n")


def test_a_job_that_differs_is_named_with_its_first_event(db: Connection, db_url: str) -> None:
    """Exit code 1; the line names the job, the event and the field, with both values."""
    make_job(db, "good")
    make_job(db, "spoilt")
    spoil(db, "spoilt")
    result = run(db_url)
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        'job spoilt: event 2 differs in itemsByType: stored {"issues": 8}, the ledger gives {"issues": 7}',
        "2 jobs checked, 1 differs",
    ]


def test_of_several_differences_the_first_event_is_named(db: Connection, db_url: str) -> None:
    """The first in the order of the ledger, in whatever order they are found."""
    db.execute("SELECT tallymark.create_job('j')")
    for number, members in enumerate(({"stage": "one"}, {"message": "two"}, {"message": "three"}), 1):
        update = {"status": "processing", "timestamp": f"2026-01-01T00:00:0{number}Z", "updateId": f"u{number}"}
        db.execute("SELECT tallymark.merge_progress('j', %s)", [Jsonb(update | members)])
    db.execute('UPDATE tallymark.job_event SET payload = payload || \'{"updateId": "other"}\' WHERE seq = 3')
    db.execute('UPDATE tallymark.job SET progress = progress || \'{"stage": "spoilt"}\'')
    assert [difference.seq for difference in verify_differences(db, "j")] == [3, 1]
    assert run(db_url).output.splitlines()[0] == (
        'job j: event 1 differs in stage: stored "spoilt", the ledger gives "one"'
    )


def test_a_reader_can_verify(db: Connection, db_url: str) -> None:
    """tallymark_reader suffices, for one job and for all. Without any role, the message names the roles."""
    make_job(db, "good")
    name = f"tallymark_test_{secrets.token_hex(6)}"
    db.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'p'")
    url = make_conninfo(db_url, user=name, password="p")
    try:
        refused = run(url)
        db.execute(f"GRANT tallymark_reader TO {name}")
        results = [run(url), run(url, "good")]
    finally:
        db.execute(f"DROP ROLE {name}")
    assert refused.exit_code == 2
    assert "lacks tallymark_reader" in refused.output
    assert [result.output for result in results] == ["1 job checked, 0 differ\n"] * 2


def test_only_the_named_jobs_are_checked(db: Connection, db_url: str) -> None:
    """A difference in another job does not matter."""
    make_job(db, "good")
    make_job(db, "spoilt")
    spoil(db, "spoilt")
    assert run(db_url, "good").exit_code == 0
    assert run(db_url, "good", "spoilt").exit_code == 1


def test_scripts_get_json(db: Connection, db_url: str) -> None:
    """The same result as an object: how many were checked, and which differ where."""
    make_job(db, "spoilt")
    spoil(db, "spoilt")
    result = run(db_url, "--json")
    assert result.exit_code == 1
    outcome = json.loads(result.output)
    assert outcome["checked"] == 1
    assert outcome["unknown"] == []
    (wrong,) = outcome["wrong"]
    assert wrong["job"] == "spoilt"
    assert set(wrong) == {"job", "seq", "field", "stored", "folded"}


def test_an_unknown_job_is_an_error(db: Connection, db_url: str) -> None:
    """Exit code 2 and the job's name: success would be a lie about a missing job."""
    make_job(db, "good")
    result = run(db_url, "good", "missing")
    assert result.exit_code == 2
    assert "no job missing" in result.output
