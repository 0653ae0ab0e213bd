"""The doctor names what is wrong with a server's settings, with a fix, and finds nothing on a server as it comes."""

import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from benchmarks.standby import standby
from click.testing import CliRunner, Result
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tallymark.cli.database import doctor
from tallymark.schema.comparison import Finding
from tallymark.schema.migrate import migrate
from tallymark.schema.server_settings import Limits, examine
from tallymark.server import EmbeddedPostgres
from tallymark.settings import Settings

pytestmark = pytest.mark.slow

Connection = psycopg.Connection[Any]


def run(*arguments: str) -> Result:
    """Run `tallymark doctor` as a script would, without a terminal."""
    return CliRunner().invoke(doctor, arguments)


def found(
    url: str, settings: Settings | None = None, limits: Limits | None = None, now: Callable[[], float] = time.time
) -> dict[str, Finding]:
    """Return the findings by their objects, without those that other tests cause: fsync, and their users."""
    items = examine(url, settings or Settings(), limits=limits, now=now).findings
    assert all(item.kind == "setting" and item.fix for item in items)
    ours = {item.object: item for item in items if item.object != "fsync"}
    return {name: item for name, item in ours.items() if " of ROLE " not in name}


def found_of(url: str, role: str) -> dict[str, Finding]:
    """Return the findings about another user, by their settings."""
    items = {item.object.partition(" of ROLE "): item for item in examine(url, Settings()).findings}
    return {name: item for (name, _, whose), item in items.items() if whose == role}


@pytest.fixture
def make_role(db: Connection) -> Iterator[Callable[..., str]]:
    """Makes users, with options of CREATE ROLE."""
    made: list[str] = []

    def make(options: str = "") -> str:
        made.append(f"tallymark_test_{secrets.token_hex(4)}")
        db.execute(f"CREATE ROLE {made[-1]} LOGIN PASSWORD 'p' {options}".encode())
        return made[-1]

    yield make
    for role in made:
        db.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())


def paste(connection: Connection, fix: str) -> None:
    """Run the statements of a fix, each by itself, as psql does."""
    for statement in filter(str.strip, fix.split(";")):
        connection.execute(statement.encode())


def advised(url: str, settings: Settings | None = None) -> dict[str, Finding]:
    """Return the advice by its objects."""
    return {item.object: item for item in examine(url, settings or Settings()).advice}


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_server_as_it_comes_has_no_finding(tmp_path: Path) -> None:
    """Exit code 0. Advice is not on standard output."""
    with EmbeddedPostgres(tmp_path / "data") as server:
        migrate(server.url)
        result = run("--database-url", server.url)
        assert (result.exit_code, result.stdout) == (0, "The database is what the files say.\n")
        assert "advice the user that logs in: is a superuser" in result.stderr
        machine = run("--database-url", server.url, "--json")
        assert (machine.exit_code, json.loads(machine.stdout)) == (0, [])


def test_a_server_that_syncs_nothing_is_found_and_the_fix_mends_it(tmp_path: Path) -> None:
    """Each setting on which the promise depends, for people and for scripts."""
    with EmbeddedPostgres(tmp_path / "data") as server:
        migrate(server.url)
        names = ("fsync", "full_page_writes", "synchronous_commit", "autovacuum", "track_counts")
        with psycopg.connect(server.url, autocommit=True) as connection:
            for name in names:
                connection.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(name)))
            connection.execute("SELECT pg_reload_conf()")
            wait_until(lambda: connection.execute("SHOW track_counts").fetchone() == ("off",))
            text = run("--database-url", server.url)
            assert text.exit_code == 1
            assert text.stdout.startswith("The database is what the files say.\nsetting fsync: ")
            assert text.stdout.endswith("5 findings\n")
            findings = json.loads(run("--database-url", server.url, "--json").stdout)
            assert [(item["kind"], item["object"], item["found"]) for item in findings] == [
                ("setting", name, "off") for name in names
            ]
            for item in findings:
                for statement in filter(None, item["fix"].split(";")):
                    connection.execute(statement.encode())
            wait_until(lambda: connection.execute("SHOW track_counts").fetchone() == ("on",))
        assert run("--database-url", server.url).exit_code == 0


def test_a_setting_of_a_database_or_of_a_user_is_mended_where_it_is(db: Connection, db_url: str) -> None:
    """ALTER SYSTEM would change nothing there."""
    name = db.info.dbname
    db.execute(sql.SQL("ALTER DATABASE {} SET synchronous_commit = off").format(sql.Identifier(name)))
    finding = found(db_url)["synchronous_commit"]
    assert finding.fix == f"ALTER DATABASE {name} RESET synchronous_commit;"
    db.execute(finding.fix.encode())
    assert found(db_url) == {}
    role = f"tallymark_test_{secrets.token_hex(4)}"
    db.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'p'")
    try:
        db.execute(f"ALTER ROLE {role} SET synchronous_commit = off")
        finding = found(make_conninfo(db_url, user=role, password="p"))["synchronous_commit"]
        assert finding.fix == f"ALTER ROLE {role} RESET synchronous_commit;"
    finally:
        db.execute(f"DROP ROLE {role}")


def test_a_database_that_takes_no_writes_is_found(db: Connection, db_url: str) -> None:
    """Somebody may have made it read-only for some work, and forgotten it."""
    name = db.info.dbname
    db.execute(sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(sql.Identifier(name)))
    finding = found(db_url)["default_transaction_read_only"]
    assert finding.fix.endswith(f"ALTER DATABASE {name} RESET default_transaction_read_only;")
    # Also in a session that is read-only itself.
    with psycopg.connect(db_url, autocommit=True) as pasting:
        paste(pasting, finding.fix)
    assert found(db_url) == {}


#: What an administrator may set for a user that writes, and with which an update can be lost or refused.
_WRONG = {
    "synchronous_commit": "off",
    "zero_damaged_pages": "on",
    "ignore_checksum_failure": "yes",
    "track_counts": "false",
    "default_transaction_read_only": "on",
    "default_transaction_isolation": "serializable",
}


@pytest.mark.parametrize("where", ["", " IN DATABASE {}"])
@pytest.mark.parametrize("group", ["tallymark_writer", "tallymark_admin", "tallymark_owner"])
def test_settings_of_other_users_that_write_are_found_and_mended(
    db: Connection, db_url: str, make_role: Callable[..., str], group: str, where: str
) -> None:
    """For the user, and for the user in this database. All that is pasted, and nothing is found any more."""
    role = make_role(f"NOINHERIT IN ROLE {group}")
    for name, value in _WRONG.items():
        db.execute(f"ALTER ROLE {role}{where.format(db.info.dbname)} SET {name} = '{value}'".encode())
    findings = found_of(db_url, role)
    assert {name: finding.found for name, finding in findings.items()} == _WRONG
    for finding in findings.values():
        paste(db, finding.fix)
    assert found_of(db_url, role) == {}


def test_the_settings_of_another_database_and_of_other_users_are_their_own_affair(
    db: Connection, db_url: str, make_role: Callable[..., str]
) -> None:
    """Such as those of a user without any role of ours, of a reader, of a group, or in another database."""
    stranger, reader, writer = make_role(), make_role("IN ROLE tallymark_reader"), make_role("IN ROLE tallymark_writer")
    for role in (stranger, reader):
        db.execute(f"ALTER ROLE {role} SET synchronous_commit = off")
        db.execute(f"ALTER ROLE {role} SET default_transaction_read_only = on")
        db.execute(f"ALTER ROLE {role} SET default_transaction_isolation = 'repeatable read'")
    db.execute(f"ALTER ROLE {writer} IN DATABASE postgres SET synchronous_commit = off")
    assert [found_of(db_url, role) for role in (stranger, reader, writer)] == [{}, {}, {}]


def test_a_setting_that_another_one_overrides_is_not_found(
    db: Connection, db_url: str, make_role: Callable[..., str]
) -> None:
    """That of a user goes before that of the database; the one for both goes before either."""
    role = make_role("IN ROLE tallymark_writer")
    db.execute(f"ALTER ROLE {role} SET synchronous_commit = off")
    db.execute(f"ALTER ROLE {role} IN DATABASE {db.info.dbname} SET synchronous_commit = local")
    assert found_of(db_url, role) == {}
    db.execute(f"ALTER ROLE {role} IN DATABASE {db.info.dbname} RESET synchronous_commit")
    assert found_of(db_url, role)["synchronous_commit"].fix == f"ALTER ROLE {role} RESET synchronous_commit;"


def test_every_place_of_a_wrong_setting_is_found_at_once(
    db: Connection, db_url: str, make_role: Callable[..., str]
) -> None:
    """Where the one of the user hides that of the database, both are found, or the next run would find more."""
    role = make_role("IN ROLE tallymark_writer")
    db.execute(f"ALTER ROLE {role} SET synchronous_commit = off")
    db.execute(f"ALTER DATABASE {db.info.dbname} SET synchronous_commit = off")
    for finding in (found_of(db_url, role)["synchronous_commit"], found(db_url)["synchronous_commit"]):
        paste(db, finding.fix)
    assert (found_of(db_url, role), found(db_url)) == ({}, {})


@pytest.mark.parametrize("level", ["serializable", "repeatable read"])
def test_a_database_with_another_isolation_level_is_found(db: Connection, db_url: str, level: str) -> None:
    """Callers in SQL would fail each other on a busy job."""
    db.execute(f"ALTER DATABASE {db.info.dbname} SET default_transaction_isolation = '{level}'".encode())
    finding = found(db_url)["default_transaction_isolation"]
    assert (finding.expected, finding.found) == ("read committed", level)
    paste(db, finding.fix)
    assert found(db_url) == {}


def test_a_setting_of_the_url_is_named_as_such(db_url: str) -> None:
    """No statement would change it."""
    finding = found(make_conninfo(db_url, options="-c synchronous_commit=off"))["synchronous_commit"]
    assert "PGOPTIONS" in finding.fix


def test_a_server_with_other_defaults_is_found_and_mended(tmp_path: Path) -> None:
    """The server's own file, after a reload or a restart."""
    wrong = {**_WRONG, "data_sync_retry": "on"}
    with EmbeddedPostgres(tmp_path / "data") as server, psycopg.connect(server.url, autocommit=True) as connection:
        migrate(server.url)
        for name, value in wrong.items():
            connection.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())
    with EmbeddedPostgres(tmp_path / "data") as server:
        findings = found(server.url)
        assert set(findings) == set(wrong)
        with psycopg.connect(server.url, autocommit=True) as connection:
            for finding in findings.values():
                paste(connection, finding.fix.removesuffix("then restart the server"))
    with EmbeddedPostgres(tmp_path / "data") as server:
        assert found(server.url) == {}


def test_a_standby_is_found_and_compared(tmp_path: Path) -> None:
    """It takes no updates. The reference is made elsewhere, because no database can be made on it."""
    with EmbeddedPostgres(tmp_path / "primary") as primary:
        migrate(primary.url)
        with standby(primary, tmp_path / "replica") as replica:
            finding = found(replica.url)["recovery"]
            assert "standby" in finding.problem
            result = run("--database-url", replica.url)
            assert result.exit_code == 1
            assert result.stdout.startswith("The database is what the files say.")
            with psycopg.connect(replica.url, autocommit=True) as connection:
                connection.execute(finding.fix.partition("for good: ")[2].encode())
            wait_until(lambda: found(replica.url) == {})


def test_a_database_that_is_not_in_utf8_is_found_and_compared(
    db: Connection, db_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an earlier release may have installed it."""
    name = f"tallymark_latin_{secrets.token_hex(4)}"
    db.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'")
    url = make_conninfo(db_url, dbname=name)
    try:
        with monkeypatch.context() as patched:
            patched.setattr("tallymark.schema.migrate.obstacles", lambda _connection, **_options: [])
            migrate(url)
        assert json.loads(run("--no-settings", "--json", "--database-url", url).stdout) == []
        finding = found(url)["server_encoding"]
        made = finding.fix.partition(";")[0]
        try:
            db.execute(made.encode())
            assert migrate(make_conninfo(db_url, dbname="tallymark_utf8")) != []
        finally:
            db.execute("DROP DATABASE IF EXISTS tallymark_utf8 WITH (FORCE)")
    finally:
        db.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize("groups", ["tallymark_writer, tallymark_reader", "tallymark_reader", "tallymark_admin", ""])
def test_each_user_of_ours_can_run_the_doctor(db_url: str, make_role: Callable[..., str], groups: str) -> None:
    """Also the web server's. What it may not read is said on standard error, and the rest is compared."""
    role = make_role(f"IN ROLE {groups}" if groups else "")
    result = run("--json", "--no-settings", "--database-url", make_conninfo(db_url, user=role, password="p"))
    assert (result.exit_code, json.loads(result.stdout)) == (0, [])
    assert "permission denied to create database" in result.stderr
    assert f"{role}, may not read which migrations were applied" in result.stderr


def test_a_user_that_inherits_nothing_can_run_the_doctor(db_url: str, make_role: Callable[..., str]) -> None:
    """With CREATEDB and the owner's role, it makes the reference on the server itself."""
    role = make_role("NOINHERIT CREATEDB IN ROLE tallymark_owner")
    result = run("--json", "--no-settings", "--database-url", make_conninfo(db_url, user=role, password="p"))
    assert (result.exit_code, json.loads(result.stdout)) == (0, [])
    with psycopg.connect(db_url) as connection:
        # Before 16, a role that inherits nothing has no rights as the owner of a database. Another server is compared.
        has_rights = connection.info.server_version >= 160000
    assert ("embedded" not in result.stderr) is has_rights


def test_another_encoding_is_found(db: Connection, db_url: str) -> None:
    """Not all that crawlers send can be stored in it."""
    name = f"tallymark_latin_{secrets.token_hex(4)}"
    db.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'")
    try:
        finding = found(make_conninfo(db_url, dbname=name))["server_encoding"]
        assert (finding.expected, finding.found) == ("UTF8", "LATIN1")
    finally:
        db.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_pools_that_do_not_fit_are_found(db_url: str) -> None:
    """The finding says how many connections would be enough."""
    finding = found(db_url, Settings(workers=100, pool_size=8, read_pool_size=4))["max_connections"]
    assert int(finding.expected.removeprefix("at least ")) >= 1200
    assert "TALLYMARK_WORKERS (100) x (8 + 4 connections)" in finding.problem


def test_the_smallest_pools_are_counted_as_they_are(db_url: str) -> None:
    """A worker opens two connections that write, also where one is set."""
    problem = found(db_url, Settings(workers=100, pool_size=1, read_pool_size=1))["max_connections"].problem
    assert "TALLYMARK_WORKERS (100) x (2 + 1 connections)" in problem


def test_a_limit_of_the_database_or_of_a_user_that_is_too_low_is_found(db: Connection, db_url: str) -> None:
    """Both limits count, and both are found."""
    name, role = db.info.dbname, f"tallymark_test_{secrets.token_hex(4)}"
    db.execute(sql.SQL("ALTER DATABASE {} CONNECTION LIMIT 5").format(sql.Identifier(name)))
    db.execute(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 11; GRANT tallymark_writer TO {role}")
    try:
        ends = (f"DATABASE {name}", f"ROLE {role}")
        findings = [item for item in examine(db_url, Settings()).findings if item.object.endswith(ends)]
        assert [(item.found, item.fix) for item in findings] == [
            ("5", f"ALTER DATABASE {name} CONNECTION LIMIT -1;"),
            ("11", f"ALTER ROLE {role} CONNECTION LIMIT -1;"),
        ]
        for finding in findings:
            db.execute(finding.fix.encode())
        assert not [item for item in examine(db_url, Settings()).findings if item.object.endswith(ends)]
    finally:
        db.execute(f"DROP ROLE {role}")


@pytest.mark.parametrize(("off", "word"), [(-5.0, "ahead of"), (5.0, "behind")])
def test_a_clock_that_is_off_is_found(db_url: str, off: float, word: str) -> None:
    """If two clocks differ by 5 seconds, one of them is wrong."""
    finding = found(db_url, now=lambda: time.time() + off)["clock"]
    assert f"5.0 s {word} that of this machine" in finding.problem
    assert found(db_url, now=lambda: time.time() + off / 5) == {}


def test_a_clock_is_read_exactly_whatever_the_user_has_set(db_url: str, make_role: Callable[..., str]) -> None:
    """A user whose floats are written with few digits finds no wrong clock."""
    role = make_role()
    with psycopg.connect(db_url, autocommit=True) as connection:
        connection.execute(f"ALTER ROLE {role} SET extra_float_digits = '-10'".encode())
    assert "clock" not in found(make_conninfo(db_url, user=role, password="p"))


def test_a_missing_replica_is_advice_where_one_is_configured(db: Connection, db_url: str) -> None:
    """Without DATABASE_READ_URL there is no such advice."""
    assert "replication" not in advised(db_url)
    settings = Settings(database_url=db_url, database_read_url="postgresql://replica/x")
    if db.execute("SELECT FROM pg_stat_replication").fetchone() is None:
        assert "replication" in advised(db_url, settings)
    assert found(db_url, settings) == {}


def test_a_server_that_no_replica_can_follow_is_found(tmp_path: Path) -> None:
    """Each of the settings, after the restart that they need."""
    with EmbeddedPostgres(tmp_path / "data") as server, psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET wal_level = minimal")
        connection.execute("ALTER SYSTEM SET max_wal_senders = 0")
        connection.execute("ALTER SYSTEM SET max_prepared_transactions = 5")
    with EmbeddedPostgres(tmp_path / "data") as server:
        assert found(server.url) == {}
        settings = Settings(database_url=server.url, database_read_url="postgresql://replica/x")
        assert set(found(server.url, settings)) == {"wal_level", "max_wal_senders"}
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("BEGIN")
            connection.execute("CREATE TABLE x ()")
            connection.execute("PREPARE TRANSACTION 'it''s left'")
            (finding,) = found(server.url, limits=Limits(transaction_seconds=0)).values()
            assert finding.object == "prepared transaction 'it''s left'"
            assert found(server.url) == {}
            connection.execute(finding.fix.partition("; or")[0].encode())
        assert found(server.url, limits=Limits(transaction_seconds=0)) == {}


def test_a_transaction_that_is_left_open_is_found(db: Connection, db_url: str) -> None:
    """The finding says whose it is, and the fix ends it."""
    with closing(psycopg.connect(make_conninfo(db_url, application_name="forgotten"))) as forgotten:
        forgotten.execute("SELECT FROM tallymark.job")
        name = f"transaction of process {forgotten.info.backend_pid}"
        finding = found(db_url, limits=Limits(transaction_seconds=0))[name]
        assert "application forgotten, idle in transaction" in finding.problem
        assert name not in found(db_url)
        db.execute(finding.fix.partition("or ")[2].encode())
        wait_until(lambda: name not in found(db_url, limits=Limits(transaction_seconds=0)))


def test_dead_rows_that_nobody_removed_are_found(db: Connection, db_url: str) -> None:
    """The fix removes them."""
    # No other vacuum may run in between.
    db.execute("ALTER TABLE tallymark.job_event SET (autovacuum_enabled = off)")
    db.execute(
        "INSERT INTO tallymark.job_event (job_id, seq, event, occurred_at) SELECT 'j', n, 'x', now()"
        " FROM generate_series(1, 500) AS n"
    )
    db.execute("DELETE FROM tallymark.job_event")
    # An idle session reports what it counted after ten seconds only.
    db.execute("SELECT pg_stat_force_next_flush()")
    limits = Limits(dead_rows=100)
    wait_until(lambda: "vacuum of tallymark.job_event" in found(db_url, limits=limits))
    assert found(db_url) == {}
    db.execute(found(db_url, limits=limits)["vacuum of tallymark.job_event"].fix.encode())
    wait_until(lambda: found(db_url, limits=limits) == {})


def test_rows_that_are_not_frozen_are_found(db_url: str) -> None:
    """They are found long before the server has to stop."""
    assert "transaction ids" in found(db_url, limits=Limits(transaction_ids=0))


def test_autovacuum_that_is_off_for_long_values_alone_is_found(db: Connection, db_url: str) -> None:
    """No other comparison covers the options of the TOAST table."""
    db.execute("ALTER TABLE tallymark.job SET (toast.autovacuum_enabled = off)")
    (finding,) = found(db_url).values()
    assert finding.object == "autovacuum of tallymark.job"
    db.execute(finding.fix.encode())
    assert found(db_url) == {}


def test_options_of_tables_and_indexes_that_are_not_valid_are_found(db: Connection, db_url: str) -> None:
    """They are differences from the files, and each fix works."""
    db.execute("ALTER TABLE tallymark.job RESET (fillfactor)")
    db.execute("ALTER TABLE tallymark.job_area SET (fillfactor = 100)")
    db.execute("ALTER TABLE tallymark.job_event SET (autovacuum_enabled = off)")
    db.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'tallymark.job_facets_idx'::regclass")
    result = run("--no-settings", "--json", "--database-url", db_url)
    assert result.exit_code == 1
    fixes = {item["object"]: item["fix"] for item in json.loads(result.stdout)}
    assert fixes == {
        "tallymark.job": "ALTER TABLE tallymark.job SET (fillfactor=60);",
        "tallymark.job_area": "ALTER TABLE tallymark.job_area SET (fillfactor=60);",
        "tallymark.job_event": "ALTER TABLE tallymark.job_event RESET (autovacuum_enabled);",
        "tallymark.job_facets_idx": "REINDEX INDEX CONCURRENTLY tallymark.job_facets_idx;",
    }
    for fix in fixes.values():
        db.execute(fix.encode())
    assert run("--no-settings", "--database-url", db_url).exit_code == 0


def test_a_user_without_a_time_limit_is_advice(db: Connection, db_url: str) -> None:
    """Behind a pooler only the user's own limit counts."""
    role = f"tallymark_test_{secrets.token_hex(4)}"
    db.execute(f"CREATE ROLE {role} LOGIN; GRANT tallymark_writer TO {role}")
    try:
        advice = advised(db_url)[f"role {role}"]
        for statement in filter(None, advice.fix.split("; ")):
            db.execute(statement.encode())
        assert f"role {role}" not in advised(db_url)
    finally:
        db.execute(f"DROP ROLE {role}")


def test_a_slot_that_nobody_uses_is_advice(db: Connection, db_url: str) -> None:
    """It is no finding, since its replica may be back soon; but it fills the disk."""
    name = f"tallymark_test_{secrets.token_hex(4)}"
    db.execute("SELECT pg_create_physical_replication_slot(%s)", [name])
    advice = advised(db_url)[f"replication slot '{name}'"]
    db.execute(advice.fix.encode())
    assert f"replication slot '{name}'" not in advised(db_url)


def test_a_user_with_few_rights_gets_what_it_may_see(db: Connection, db_url: str) -> None:
    """There is no finding, and no failure."""
    role = f"tallymark_test_{secrets.token_hex(4)}"
    db.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'p'")
    try:
        assert found(make_conninfo(db_url, user=role, password="p")) == {}
        assert "the user that logs in" not in advised(make_conninfo(db_url, user=role, password="p"))
        assert "the user that logs in" in advised(db_url)
    finally:
        db.execute(f"DROP ROLE {role}")
