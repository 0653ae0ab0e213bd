"""Tallymark on a cluster of Citus: what `tallymark distribute` leaves behind, and what it finds."""

import itertools
import secrets
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner
from psycopg.conninfo import make_conninfo
from psycopg.types.json import Jsonb

from tallymark.cli import cli
from tallymark.schema.cluster import DELEGATED
from tallymark.schema.comparison import Finding
from tallymark.schema.distribute import NotDistributableError, check_only, distribute
from tallymark.schema.doctor import findings
from tallymark.schema.files import sql_root
from tallymark.schema.migrate import MigrationError, available, migrate, pending, rollback

from .cluster import Database, database, on

pytestmark = [pytest.mark.citus, pytest.mark.slow]

JOBS = [f"crawl_{number}" for number in range(12)]
CREATE_TOKEN = "tallymark.create_token(text, text[], text, timestamptz)"


def merge(url: str, first: int, last: int) -> None:
    """Send each job some updates, each with an item counted by number and one by key."""
    with psycopg.connect(url, autocommit=True) as connection:
        for number in range(first, last):
            for job in JOBS:
                update = {"status": "processing", "timestamp": f"2026-01-01T00:00:{number:02}Z"}
                update |= {"itemsByType": {"pages": 1}, "itemKeys": {"files": [str(number)]}}  # type: ignore[dict-item]
                connection.execute("SELECT tallymark.merge_progress(%s, %s)", [job, Jsonb(update)])


def assert_exact(url: str, updates: int) -> None:
    """All jobs have counted so many updates, and their ledgers say the same."""
    with psycopg.connect(url, autocommit=True) as connection:
        for job in JOBS:
            [document] = connection.execute("SELECT tallymark.get_job(%s, 0)", [job]).fetchone() or [None]
            assert document is not None
            assert document["progress"]["itemsByType"] == {"pages": updates, "files": updates}
            assert document["lastSeq"] == updates
            assert connection.execute("SELECT tallymark.verify_job(%s)", [job]).fetchone() == (True,)


def wrong(found: list[Finding]) -> list[Finding]:
    """Without the settings, which are those of a cluster that is not ours."""
    return [finding for finding in found if finding.kind != "setting"]


@pytest.fixture(scope="module")
def distributed() -> Iterator[Database]:
    """A database that is distributed, with the jobs in it."""
    with database() as made:
        assert wrong(distribute(made.url, shards=8)) == []
        for job in JOBS:
            on(made.url, "SELECT tallymark.create_job(%s)", job)
        yield made


def test_data_stay_and_it_can_be_run_again() -> None:
    """Jobs, ledgers, items and tokens that were there before are there afterwards, and nothing is left behind."""
    with database() as made:
        migrate(made.url)
        for job in JOBS:
            on(made.url, "SELECT tallymark.create_job(%s)", job)
        merge(made.url, 0, 3)
        token = on(made.url, f"SELECT {CREATE_TOKEN.partition('(')[0]}('t', '{{read}}')")[0][0]
        said: list[str] = []
        assert wrong(distribute(made.url, shards=8, report=said.append)) == []
        assert any("tallymark.job by id, in 8 shards" in line for line in said)
        assert_exact(made.url, 3)
        assert on(made.url, "SELECT count(*) FROM tallymark.api_token") == [(1,)]
        assert token
        assert on(made.url, "SELECT pg_relation_size('tallymark.job_event')") == [(0,)]
        merge(made.url, 3, 5)
        assert wrong(distribute(made.url, shards=4)) == []
        assert on(made.url, "SELECT count(*) FROM pg_dist_shard WHERE logicalrelid = 'tallymark.job'::regclass") == [
            (8,)
        ]
        merge(made.url, 5, 6)
        merge(made.url, 0, 6)  # all of them are known
        assert_exact(made.url, 6)


@pytest.mark.parametrize(
    "step",
    [
        "applying 0010",
        "tallymark.job_event by",
        "LOGIN for",
        "functions to the nodes",
        "on all nodes",
        "on the node of",
    ],
)
def test_a_crash_in_the_middle_is_mended_by_running_it_again(step: str) -> None:
    """Until then updates go on being counted where the schema was there before."""
    with database() as made:
        had_jobs = "0010" not in step
        if had_jobs:
            migrate(made.url)
            for job in JOBS:
                on(made.url, "SELECT tallymark.create_job(%s)", job)
            merge(made.url, 0, 2)
        program = [sys.executable, "-c", "from tallymark.cli import main; main()", "distribute", "--shards", "8"]
        with subprocess.Popen([*program, "--database-url", made.url], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert any(step in line for line in process.stdout)
            process.kill()
        if had_jobs:
            merge(made.url, 2, 3)
        assert wrong(distribute(made.url, shards=8)) == []
        if had_jobs:
            assert_exact(made.url, 3)


def test_null_crashes_nothing(distributed: Database) -> None:
    """Citus crashes where the id of a function that runs on its job's node is NULL, and that function is not STRICT."""
    with psycopg.connect(distributed.url, autocommit=True) as connection:
        rows = connection.execute(
            """SELECT p.proname, p.proargtypes::regtype[]::text[] FROM pg_proc AS p JOIN pg_dist_object AS o
               ON o.objid = p.oid AND o.classid = 'pg_proc'::regclass
               WHERE p.pronamespace = 'tallymark'::regnamespace AND o.distribution_argument_index IS NOT NULL"""
        ).fetchall()
        assert {name for name, _ in rows} == DELEGATED
        for name, types in rows:
            call = f"tallymark.{name}({', '.join(f'NULL::{kind}' for kind in types)})"
            for query in (f"SELECT {call}", f"SELECT * FROM {call}"):
                assert connection.execute(query.encode()).fetchall() in ([], [(None,)])
        for call in ("get_job(NULL, 0)", "update_frequency(NULL)", "verify_differences(NULL)", "job_timeline(NULL)"):
            with suppress(psycopg.DatabaseError):  # but the session goes on
                connection.execute(f"SELECT * FROM tallymark.{call}".encode())
        assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("number", [0, 1])
def test_a_job_is_verified_while_it_is_updated(distributed: Database, number: int) -> None:
    """What is compared is of one moment, with the command and with the function."""
    ended = threading.Event()

    def update() -> None:
        with psycopg.connect(distributed.url, autocommit=True) as connection:
            for count in itertools.count():
                at = f"2026-01-01T01:{count // 600 % 60:02}:{count // 10 % 60:02}.{count % 10}Z"
                body = Jsonb({"status": "processing", "timestamp": at, "itemsByType": {"pages": 1}})
                connection.execute("SELECT tallymark.merge_progress(%s, %s)", [job, body])
                if ended.is_set():
                    return

    job = f"busy_{number}"
    on(distributed.url, "SELECT tallymark.create_job(%s)", job)
    thread = threading.Thread(target=update)
    thread.start()
    try:
        for _ in range(20):
            if number:
                result = CliRunner().invoke(cli, ["verify", job, "--database-url", distributed.url])
                assert result.output == "1 job checked, 0 differ\n"
            else:
                assert on(distributed.url, "SELECT tallymark.verify_job(%s)", job) == [(True,)]
    finally:
        ended.set()
        thread.join()


def test_the_check_finds_what_is_open_on_one_node(distributed: Database) -> None:
    """A function for everybody, and a table that readers may write; what can be put right is named."""
    on(distributed.workers[0], f"GRANT EXECUTE ON FUNCTION {CREATE_TOKEN} TO PUBLIC")
    on(distributed.workers[1], "GRANT INSERT ON tallymark.job TO tallymark_reader")
    found = wrong(check_only(distributed.url))
    assert {(item.kind, item.problem.partition(" on ")[0]) for item in found} == {
        ("function", "is for everybody"),
        ("function", "grants differ"),
        ("relation", "grants differ"),
    }
    assert wrong(findings(distributed.url)) == found
    result = CliRunner().invoke(cli, ["distribute", "--check", "--database-url", distributed.url])
    assert result.exit_code == 1
    assert "REVOKE INSERT ON TABLE tallymark.job FROM tallymark_reader;" in result.output
    assert {item.object for item in wrong(distribute(distributed.url))} == {"tallymark.job"}
    on(distributed.workers[1], "REVOKE INSERT ON TABLE tallymark.job FROM tallymark_reader;")
    assert wrong(check_only(distributed.url)) == []


@pytest.mark.parametrize(
    ("statement", "undo", "problem"),
    [
        ("ALTER ROLE tallymark_reader NOLOGIN", "ALTER ROLE tallymark_reader LOGIN", "may not log in"),
        (f"ALTER FUNCTION {CREATE_TOKEN} SECURITY INVOKER", None, "security definer differs"),
        (f"DROP FUNCTION {CREATE_TOKEN}", None, "is missing"),
        ("ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC", None, "that arrive there are for everybody"),
        ("GRANT USAGE ON SCHEMA tallymark TO PUBLIC", "REVOKE USAGE ON SCHEMA tallymark FROM PUBLIC", "for everybody"),
    ],
)
def test_the_check_finds_what_one_node_has_otherwise(
    distributed: Database, statement: str, undo: str | None, problem: str
) -> None:
    """And running `distribute` again puts functions and roles right."""
    on(distributed.workers[1], statement)
    try:
        assert any(problem in item.problem for item in wrong(check_only(distributed.url)))
    finally:
        if undo:
            on(distributed.workers[1], undo)
    if not undo:
        distribute(distributed.url)
    assert wrong(check_only(distributed.url)) == []


def test_a_node_that_was_added_without_rights_is_found_and_closed() -> None:
    """Citus gives a new node the functions for everybody, unless the node was closed before."""
    with database(known=1) as made:
        assert wrong(distribute(made.url, shards=8)) == []
        made.add_worker(1)
        found = wrong(check_only(made.url))
        assert len([item for item in found if "for everybody" in item.problem]) > 100
        assert wrong(distribute(made.url)) == []


def test_a_node_that_was_closed_before_has_the_rights_at_once() -> None:
    """As the document says it: one statement on the new node, before `citus_add_node`. Views are then for nobody."""
    with database(known=1) as made:
        assert wrong(distribute(made.url, shards=8)) == []
        on(made.workers[1], "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC")
        made.add_worker(1)
        found = wrong(check_only(made.url))
        assert {(item.kind, item.found) for item in found} <= {("relation", "")}
        assert wrong(distribute(made.url)) == []


def test_a_reader_can_write_nowhere(distributed: Database) -> None:
    """On no node it may call what it may not call on the coordinator, or write a table or a shard."""
    functions = (
        "SELECT p.oid::regprocedure::text FROM pg_proc AS p WHERE p.pronamespace = 'tallymark'::regnamespace"
        " AND has_function_privilege('tallymark_reader', p.oid, 'EXECUTE') ORDER BY 1"
    )
    tables = (
        "SELECT c.oid::regclass::text FROM pg_class AS c WHERE c.relnamespace = 'tallymark'::regnamespace"
        " AND c.relkind IN ('r', 'v')"
        " AND has_table_privilege('tallymark_reader', c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')"
    )
    may = on(distributed.url, functions)
    assert 20 < len(may) < 150
    for url in distributed.everywhere:
        assert on(url, functions) == may
        assert on(url, tables) == []
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SET SESSION AUTHORIZATION tallymark_reader")
            for call in (
                "tallymark.create_token('stolen', '{admin}')",
                f"tallymark.merge_progress('{JOBS[0]}', '{{\"status\": \"started\"}}')",
                "tallymark.delete_job('x')",
            ):
                with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedFunction)):
                    connection.execute(f"SELECT {call}".encode())


def test_a_migration_that_adds_a_column_reaches_every_node_and_can_be_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a function that is new in it. The functions stay STRICT, and updates are counted all the time."""
    with database() as made:
        distribute(made.url, shards=8)
        for job in JOBS:
            on(made.url, "SELECT tallymark.create_job(%s)", job)
        merge(made.url, 0, 2)
        files = tmp_path / "sql"
        shutil.copytree(sql_root(), files)
        (files / "migrations" / "9998-colour.sql").write_text(
            f"-- A colour.\n-- depends: {max((files / 'migrations').glob('*.rollback.sql')).name[:-13]}\n\n"
            "SET LOCAL lock_timeout = '2s';\n"
            "ALTER TABLE tallymark.job ADD COLUMN IF NOT EXISTS colour text NOT NULL DEFAULT 'red';\n"
        )
        (files / "migrations" / "9998-colour.rollback.sql").write_text(
            "DROP FUNCTION IF EXISTS tallymark.colour_of(text);\n"
            "ALTER TABLE tallymark.job DROP COLUMN IF EXISTS colour;\n"
        )
        (files / "functions" / "9998_colour_of.sql").write_text(
            "CREATE OR REPLACE FUNCTION tallymark.colour_of(job_id text) RETURNS text LANGUAGE plpgsql STABLE"
            " SET search_path = pg_catalog, pg_temp AS $$\n"
            "BEGIN RETURN (SELECT j.colour FROM tallymark.job AS j WHERE j.id = colour_of.job_id); END $$;\n"
            "REVOKE ALL ON FUNCTION tallymark.colour_of(text) FROM PUBLIC;\n"
        )
        colours = "SELECT run_command_on_all_nodes('SELECT count(*) FROM pg_attribute WHERE attname = ''colour''"
        colours += " AND attrelid = ''tallymark.job''::regclass')::text"
        with monkeypatch.context() as patch:
            patch.setattr("tallymark.schema.migrate.sql_root", lambda: files)
            assert migrate(made.url) == ["9998-colour"]
            assert wrong(check_only(made.url)) == []
            assert on(made.url, "SELECT DISTINCT colour FROM tallymark.job") == [("red",)]
            assert on(made.url, "SELECT tallymark.colour_of(%s)", JOBS[0]) == [("red",)]
            assert all(row[0].endswith(",t,1)") for row in on(made.url, colours))
            merge(made.url, 2, 3)
            assert rollback(made.url) == ["9998-colour"]
            assert wrong(check_only(made.url)) == []
            assert all(row[0].endswith(",t,0)") for row in on(made.url, colours))
        assert migrate(made.url) == []
        assert wrong(check_only(made.url)) == []
        assert wrong(findings(made.url)) == []
        merge(made.url, 3, 4)
        assert_exact(made.url, 4)


def test_a_migration_that_was_made_for_one_server_is_not_taken_back_there(distributed: Database) -> None:
    """The refusal says what to do instead, and the migrations that came later stay, too."""
    later = sum(migration > "0021" for migration in available())
    with pytest.raises(MigrationError, match="the rollback of 0020-waiting-and-alive was written for one server"):
        rollback(distributed.url, steps=later + 1)
    assert pending(distributed.url) == []


def test_what_came_later_can_be_taken_back_and_comes_again(distributed: Database) -> None:
    """With its functions on all nodes, where they run on the node of their job."""
    later = [migration for migration in available() if migration > "0021"]
    assert sorted(rollback(distributed.url, steps=len(later))) == later
    for url in distributed.everywhere:
        assert on(url, "SELECT FROM pg_proc WHERE proname = 'receive_for_job'") == []
    assert wrong(distribute(distributed.url)) == []


def test_the_doctor_knows_a_distributed_database(distributed: Database) -> None:
    """It finds nothing, advises no NOLOGIN, and says how many servers it has looked at."""
    said: list[str] = []
    assert wrong(findings(distributed.url, report=said.append)) == []
    assert said == [f"the jobs are distributed over {len(distributed.everywhere)} servers; each is checked as well"]


def test_who_is_no_superuser_sees_all_nodes_too(distributed: Database) -> None:
    """A user of the endpoint, which the coordinator has made on all nodes."""
    name = f"tallymark_web_{secrets.token_hex(6)}"
    with psycopg.connect(distributed.url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'p' IN ROLE tallymark_writer, tallymark_reader")
        try:
            assert wrong(check_only(make_conninfo(distributed.url, user=name, password="p"))) == []
            connection.execute("SET citus.enable_ddl_propagation = off")
            connection.execute(f"REVOKE tallymark_writer FROM {name}")
            assert {item.object for item in wrong(check_only(distributed.url))} == {name}
        finally:
            connection.execute("SET citus.enable_ddl_propagation = on")
            connection.execute(f"DROP ROLE {name}")


def test_what_is_no_coordinator_with_nodes_is_refused_with_cause_and_cure(distributed: Database) -> None:
    """A worker, a coordinator without nodes or without a name, a database that is on one server, and who may not."""
    with pytest.raises(NotDistributableError, match="is a worker of a cluster: name the coordinator"):
        distribute(distributed.workers[0])
    for command in (["migrate"], ["rollback", "--yes"], ["doctor"], ["distribute", "--check"]):
        result = CliRunner().invoke(cli, [*command, "--database-url", distributed.workers[0]])
        assert result.exit_code == 2
        assert "name the coordinator in the URL" in result.output
    with database(known=0) as made:
        with pytest.raises(NotDistributableError, match=r"knows no nodes: for each, SELECT citus_add_node\("):
            distribute(made.url)
        with pytest.raises(NotDistributableError, match="knows no nodes"):
            check_only(made.url)
    with database(tells=False) as made, pytest.raises(NotDistributableError, match="citus_set_coordinator_host"):
        distribute(made.url)
    with database() as made:
        with pytest.raises(NotDistributableError, match="tallymark distribute puts them on the nodes"):
            check_only(made.url)
        assert on(made.url, "SELECT to_regnamespace('tallymark')") == [(None,)]
    url = make_conninfo(distributed.url, user="tallymark_owner")
    with pytest.raises(NotDistributableError, match="only a superuser may distribute, which tallymark_owner is not"):
        distribute(url)


def test_updates_are_counted_wherever_they_are_sent(distributed: Database) -> None:
    """Also by a worker, which knows where each job is."""
    for number, url in enumerate(distributed.everywhere):
        merge(url, number * 2, number * 2 + 2)
    assert_exact(distributed.url, 2 * len(distributed.everywhere))


def test_the_role_of_a_shard_that_moves_is_not_told_to_be_dropped(distributed: Database) -> None:
    """Citus makes one on the node that gets the shard. What is left of it without a subscription is a finding."""
    node = distributed.workers[0]
    role = f"citus_shard_move_subscription_role_{secrets.randbelow(10**9)}_1"
    on(node, f"CREATE ROLE {role} SUPERUSER IN ROLE tallymark_owner")
    try:
        on(node, "CREATE SUBSCRIPTION moves CONNECTION '' PUBLICATION none WITH (connect = false, slot_name = NONE)")
        on(node, f"ALTER SUBSCRIPTION moves OWNER TO {role}")
        on(node, f"ALTER ROLE {role} NOSUPERUSER")
        assert wrong(check_only(distributed.url)) == []
        on(node, "DROP SUBSCRIPTION moves")
        assert [finding.object for finding in wrong(check_only(distributed.url))] == [role]
    finally:
        on(node, "DROP SUBSCRIPTION IF EXISTS moves")
        on(node, f"DROP ROLE {role}")
