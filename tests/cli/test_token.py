"""`tallymark token`: tokens are made, shown once, listed without their secrets, and revoked."""

import json
import re
import secrets
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg.conninfo import make_conninfo

from tallymark.cli import cli

Connection = psycopg.Connection[Any]


def run(url: str, *arguments: str) -> Result:
    """Run `tallymark token` as a script would, without a terminal."""
    return CliRunner().invoke(cli, ["token", *arguments, "--database-url", url])


def test_the_token_stands_alone_on_standard_output(db: Connection, db_url: str) -> None:
    """A script can read it. Other text goes to standard error and does not contain the token."""
    result = run(db_url, "create", "c1", "--scope", "write", "--scope", "read", "--job-prefix", "gitlab_")
    assert result.exit_code == 0, result.output
    assert re.fullmatch(r"tallymark_[0-9a-f]{64}\n", result.stdout)
    token = result.stdout.strip()
    assert token not in result.stderr
    assert 'write, read on jobs that begin with "gitlab_", for ever' in result.stderr
    assert db.execute("SELECT digest, scopes, job_prefix, expires_at FROM tallymark.api_token").fetchall() == [
        (sha256(token.encode()).digest(), ["write", "read"], "gitlab_", None)
    ]


@pytest.mark.parametrize(
    ("expires", "from_now"),
    [("90d", timedelta(days=90)), ("12h", timedelta(hours=12)), ("2w", timedelta(weeks=2))],
)
def test_a_token_expires_after_a_time(db: Connection, db_url: str, expires: str, from_now: timedelta) -> None:
    """The time is counted from now."""
    assert run(db_url, "create", "c", "--scope", "read", "--expires", expires).exit_code == 0
    ((at,),) = db.execute("SELECT expires_at FROM tallymark.api_token")
    assert abs(at - datetime.now(UTC) - from_now) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("expires", "at"),
    [
        ("2999-01-31", datetime(2999, 1, 31, tzinfo=UTC)),
        ("2999-01-31T12:00", datetime(2999, 1, 31, 12, tzinfo=UTC)),
        ("2999-01-31T12:00:00+02:00", datetime(2999, 1, 31, 10, tzinfo=UTC)),
        ("2999-01-31T12:00:00Z", datetime(2999, 1, 31, 12, tzinfo=UTC)),
    ],
)
def test_a_token_expires_at_a_date(db: Connection, db_url: str, expires: str, at: datetime) -> None:
    """In UTC unless the date has an offset, and never in the machine's own time zone."""
    assert run(db_url, "create", "c", "--scope", "read", "--expires", expires).exit_code == 0
    assert db.execute("SELECT expires_at FROM tallymark.api_token").fetchall() == [(at,)]


@pytest.mark.parametrize("expires", ["soon", "90", "d", "-1d", "999999999w", "2999-02-30", "٣d"])
def test_a_time_that_is_none_is_refused(db_url: str, expires: str) -> None:
    """The message repeats what was typed."""
    result = run(db_url, "create", "c", "--scope", "read", "--expires", expires)
    assert result.exit_code == 2
    assert expires in result.output


def test_every_problem_is_told_at_once(db: Connection, db_url: str) -> None:
    """Exit code 2 and one line; no token is made."""
    result = run(db_url, "create", "", "--scope", "read", "--job-prefix", "p" * 256, "--expires", "2020-01-01")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: Invalid token: ")
    for words in ("name must be", "jobPrefix must be", "expiresAt must be"):
        assert words in result.stderr
    assert db.execute("SELECT count(*) FROM tallymark.api_token").fetchone() == (0,)


def test_a_scope_is_asked_for_and_must_be_one(db_url: str) -> None:
    """A forgotten option never grants more than was meant."""
    assert run(db_url, "create", "c").exit_code == 2
    assert run(db_url, "create", "c", "--scope", "all").exit_code == 2


def test_a_name_that_is_taken_is_refused(db_url: str) -> None:
    """Names of revoked tokens stay taken."""
    run(db_url, "create", "c", "--scope", "read")
    run(db_url, "revoke", "c")
    result = run(db_url, "create", "c", "--scope", "read")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "There is a token 'c' already." in result.stderr


def test_the_list_tells_which_tokens_open_what(db: Connection, db_url: str) -> None:
    """A table for people, JSON for scripts; neither has the tokens or their digests."""
    assert (run(db_url, "list").stdout, run(db_url, "list", "--json").stdout) == ("", "[]\n")
    made = [
        run(db_url, "create", "active", "--scope", "write", "--job-prefix", "gitlab_").stdout,
        run(db_url, "create", "expired", "--scope", "read", "--expires", "1h").stdout,
        run(db_url, "create", "revoked", "--scope", "admin").stdout,
    ]
    db.execute("UPDATE tallymark.api_token SET expires_at = '2020-01-01 00:00+00' WHERE name = 'expired'")
    run(db_url, "revoke", "revoked")
    table, listed = run(db_url, "list").stdout, run(db_url, "list", "--json").stdout
    assert [line.split()[:3] for line in table.splitlines()] == [
        ["name", "state", "scopes"],
        ["active", "active", "write"],
        ["expired", "expired", "read"],
        ["revoked", "revoked", "admin"],
    ]
    assert "gitlab_*" in table
    for token in made:
        assert token.strip() not in table + listed
        assert sha256(token.strip().encode()).hexdigest() not in table + listed
    active, expired, revoked = json.loads(listed)
    assert active == {
        "name": "active",
        "state": "active",
        "scopes": ["write"],
        "jobPrefix": "gitlab_",
        "createdAt": active["createdAt"],
        "expiresAt": None,
        "revokedAt": None,
    }
    assert (expired["state"], expired["expiresAt"]) == ("expired", "2020-01-01T00:00:00Z")
    assert revoked["state"] == "revoked"
    assert revoked["revokedAt"].endswith("Z")


def test_revoking_again_is_no_failure_but_an_unknown_name_is(db_url: str) -> None:
    """Exit code 0 for a second time; exit code 2 and the name for an unknown one."""
    run(db_url, "create", "c", "--scope", "read")
    first = run(db_url, "revoke", "c")
    assert first.exit_code == 0
    assert run(db_url, "revoke", "c").output == first.output
    unknown = run(db_url, "revoke", "d")
    assert unknown.exit_code == 2
    assert "Token not found. There is no token 'd'." in unknown.output


def test_the_right_that_is_missing_is_named(db: Connection, db_url: str) -> None:
    """The endpoint's own user may not make tokens."""
    name = f"tallymark_test_{secrets.token_hex(6)}"
    db.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'p'")
    db.execute(f"GRANT tallymark_writer, tallymark_reader TO {name}")
    try:
        refused = run(make_conninfo(db_url, user=name, password="p"), "create", "c", "--scope", "admin")
        db.execute(f"GRANT tallymark_admin TO {name}")
        made = run(make_conninfo(db_url, user=name, password="p"), "create", "c", "--scope", "admin")
    finally:
        db.execute(f"DROP ROLE {name}")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr == (
        "Error: this user of the database lacks tallymark_admin;"
        " grant that role to it, or name another user in the URL\n"
    )
    assert made.exit_code == 0
