"""`tallymark job`: registered, shown, and asked something of."""

import json
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result

from tallymark.cli import cli

Connection = psycopg.Connection[Any]


def run(url: str, *arguments: str) -> Result:
    """Run `tallymark job` as a script would, without a terminal."""
    return CliRunner().invoke(cli, ["job", *arguments, "--database-url", url])


def test_a_job_is_registered_once_with_its_attributes(db: Connection, db_url: str) -> None:
    """The second time changes nothing, and says so."""
    first = run(db_url, "create", "j", "--attributes", '{"counting": "cumulative"}')
    assert (first.exit_code, first.output) == (0, "job j is registered\n")
    assert run(db_url, "create", "j").output == "job j was registered before\n"
    assert db.execute("SELECT id, attributes FROM tallymark.job").fetchall() == [("j", {"counting": "cumulative"})]


@pytest.mark.parametrize("attributes", ["{", "[]", "7"])
def test_attributes_that_are_no_object_are_refused(db: Connection, db_url: str, attributes: str) -> None:
    """Nothing is registered then."""
    assert run(db_url, "create", "j", "--attributes", attributes).exit_code == 2
    assert db.execute("SELECT count(*) FROM tallymark.job").fetchone() == (0,)


def test_a_command_waits_for_the_crawler_and_is_on_the_record(db: Connection, db_url: str) -> None:
    """The next acknowledgement carries it, and the ledger says who asked."""
    run(db_url, "create", "j")
    asked = run(db_url, "command", "j", "pause", "--by", "ann")
    assert (asked.exit_code, asked.output) == (0, "job j, which is queued, is asked to pause\n")
    shown = json.loads(run(db_url, "show", "j").output)
    assert shown["command"] == "pause"
    assert [(e["event"], e["details"]) for e in shown["progress"]["timeline"]] == [
        ("command_requested", {"command": "pause", "requestedBy": "ann"})
    ]
    ack = db.execute("SELECT tallymark.merge_progress('j', '{}') ->> 'command'").fetchone()
    assert ack == ("pause",)


def test_what_cannot_be_done_is_said_in_one_line(db: Connection, db_url: str) -> None:
    """An unknown job, one that has ended, and no such command."""
    assert "Job not found" in run(db_url, "command", "gone", "pause").output
    db.execute("SELECT tallymark.create_job('j'), tallymark.merge_progress('j', '{\"status\": \"completed\"}')")
    ended = run(db_url, "command", "j", "cancel")
    assert ended.exit_code == 2
    assert "Job has ended. The job is finished" in ended.output
    assert run(db_url, "command", "j", "explode").exit_code == 2
