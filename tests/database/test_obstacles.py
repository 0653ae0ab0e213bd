"""What stands in the way of `migrate` and `rollback` is found before anything is changed, and named with its cure."""

import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from benchmarks.standby import standby
from click.testing import CliRunner
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tallymark.cli.database import migrate as migrate_command, rollback as rollback_command
from tallymark.schema.catalogue import Entry, Key, read_catalogue
from tallymark.schema.doctor import findings
from tallymark.schema.files import sql_root
from tallymark.schema.migrate import MigrationError, applied, available, migrate, rollback
from tallymark.server import EmbeddedPostgres

Connection = psycopg.Connection[Any]
MakeLogin = Callable[..., str]


def entries(url: str) -> dict[Key, Entry]:
    """Read all objects of a database's schema."""
    with psycopg.connect(url, autocommit=True) as connection:
        return read_catalogue(connection).entries


def relations(url: str) -> set[str]:
    """Name all that somebody has made in a database."""
    with psycopg.connect(url) as connection:
        return {
            str(name)
            for (name,) in connection.execute(
                "SELECT oid::regclass::text FROM pg_class WHERE relnamespace NOT IN"
                " ('pg_catalog'::regnamespace, 'pg_toast'::regnamespace, 'information_schema'::regnamespace)"
            )
        }


@pytest.fixture
def make_login(db: Connection, db_url: str) -> Iterator[MakeLogin]:
    """Makes users, with options of CREATE ROLE, and gives the URL of the test's database for them."""
    made: list[str] = []

    def make(options: str = "") -> str:
        name = f"tallymark_test_{secrets.token_hex(6)}"
        db.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'p' {options}".encode())
        made.append(name)
        return make_conninfo(db_url, user=name, password="p")

    yield make
    for name in made:
        db.execute(f"DROP OWNED BY {name}; DROP ROLE {name}".encode())


def paste(db: Connection, message: str) -> None:
    """Run the statements that a message ends with, as a superuser."""
    start = min(message.index(word) for word in ("GRANT ", "SET ", "ALTER ", "CREATE ") if word in message)
    for statement in filter(str.strip, message[start:].split(";")):
        db.execute(statement.encode())


def refusal(act: Callable[[], object]) -> str:
    """Return why something was refused."""
    with pytest.raises(MigrationError) as caught:
        act()
    return str(caught.value)


# --- the server and the database -------------------------------------------------------------------------------------


def test_a_database_that_is_not_in_utf8_is_refused_and_left_as_it_is(db: Connection, db_url: str) -> None:
    """Not all that crawlers send could be stored in it. The command says so, too, with exit code 2."""
    name = f"tallymark_latin_{secrets.token_hex(4)}"
    db.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'".encode())
    url = make_conninfo(db_url, dbname=name)
    try:
        why = refusal(lambda: migrate(url))
        assert "LATIN1" in why
        assert "ENCODING 'UTF8'" in why
        assert relations(url) == set()
        result = CliRunner().invoke(migrate_command, ["--database-url", url])
        assert (result.exit_code, "LATIN1" in result.output) == (2, True)
    finally:
        db.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def test_a_database_that_is_read_only_is_refused_and_the_cure_can_be_pasted(db: Connection, db_url: str) -> None:
    """Somebody wanted no changes; the message says where that was set."""
    name = sql.Identifier(db.info.dbname)
    db.execute(sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(name))
    for act in (migrate, rollback):
        why = refusal(lambda act=act: act(db_url))  # type: ignore[misc]  # one of two
        assert "read-only" in why
    # In a session that is read-only, too.
    with psycopg.connect(db_url, autocommit=True) as pasting:
        paste(pasting, why)
    assert migrate(db_url) == []


@pytest.mark.slow
def test_a_standby_is_refused(tmp_path: Path) -> None:
    """It cannot be changed. The message says so before yoyo notices."""
    with EmbeddedPostgres(tmp_path / "primary") as primary:
        migrate(primary.url)
        with standby(primary, tmp_path / "replica") as replica:
            for act in (migrate, rollback):
                assert "standby" in refusal(lambda act=act: act(replica.url))  # type: ignore[misc]  # one of two


# --- rights ----------------------------------------------------------------------------------------------------------


def test_the_user_of_the_endpoint_learns_that_another_one_installs(db: Connection, make_login: MakeLogin) -> None:
    """It is no member of tallymark_owner; neither command says a word about yoyo's lock."""
    url = make_login("IN ROLE tallymark_writer, tallymark_reader")
    before = relations(url)
    for act in (migrate, rollback):
        why = refusal(lambda act=act: act(url))  # type: ignore[misc]  # one of two
        assert "is no member of tallymark_owner" in why
        assert "yoyo's lock" not in why
    assert relations(url) == before
    result = CliRunner().invoke(rollback_command, ["--yes", "--database-url", url])
    assert result.exit_code == 2
    assert "may not read which migrations were applied; name the user that installed" in result.output
    for line in refusal(lambda: migrate(url)).splitlines():
        paste(db, line)
    assert migrate(url) == []


def test_a_user_that_may_make_no_roles_learns_which_are_missing(tmp_path: Path) -> None:
    """As on a new server, where nobody has made them."""
    with EmbeddedPostgres(tmp_path / "data") as server, psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE ROLE plain LOGIN PASSWORD 'p'")
        connection.execute("CREATE DATABASE theirs OWNER plain")
        url = make_conninfo(server.url, user="plain", password="p", dbname="theirs")
        why = refusal(lambda: migrate(url))
        assert "tallymark_owner, tallymark_writer, tallymark_reader, tallymark_admin are missing" in why
        assert relations(url) == set()
        paste(connection, why)
        why = refusal(lambda: migrate(url))
        assert "is no member of tallymark_owner" in why
        paste(connection, why)
        assert migrate(url) == available()


def test_a_user_that_may_make_no_schema_learns_which_right_is_missing(
    db: Connection, empty_url: str, make_login: MakeLogin
) -> None:
    """And the one for yoyo's tables in the same answer."""
    theirs = make_login("CREATEROLE")
    with psycopg.connect(empty_url, autocommit=True) as connection:
        user = str(psycopg.conninfo.conninfo_to_dict(theirs)["user"])
        db.execute(f"GRANT tallymark_owner TO {user}".encode())
        url = make_conninfo(empty_url, user=user, password="p")
        for line in refusal(lambda: migrate(url)).splitlines():
            paste(connection, line)
        assert migrate(url) == available()
        connection.execute(f"DROP OWNED BY {user} CASCADE".encode())


def test_another_member_of_the_owner_learns_what_yoyos_tables_need(
    db: Connection, db_url: str, make_login: MakeLogin
) -> None:
    """They belong to the user that installed. What the message says can be pasted."""
    url = make_login("IN ROLE tallymark_owner")
    paste(db, refusal(lambda: migrate(url)))
    assert migrate(url) == []
    assert rollback(url) == [available()[-1]]
    assert migrate(url) == [available()[-1]]
    assert findings(db_url) == []


@pytest.mark.slow
def test_a_user_that_inherits_nothing_may_take_the_role(tmp_path: Path) -> None:
    """NOINHERIT asks for SET ROLE, and that is what is done: to install, to upgrade, to roll back and to look."""
    with EmbeddedPostgres(tmp_path / "data") as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE ROLE installer LOGIN NOINHERIT CREATEROLE CREATEDB PASSWORD 'p'")
            connection.execute("CREATE DATABASE theirs OWNER installer")
        url = make_conninfo(server.url, user="installer", password="p", dbname="theirs")
        assert migrate(url) == available()
        migrate(make_conninfo(server.url, dbname="tallymark"))
        assert entries(url) == entries(server.url)
        assert findings(url) == []
        assert rollback(url, steps=5) == available()[::-1][:5]
        assert migrate(url) == available()[-5:]
        assert rollback(url, steps=len(available())) == available()[::-1]


# --- what would be lost ----------------------------------------------------------------------------------------------


def _unchanged(url: str, before: dict[Key, Entry]) -> bool:
    return entries(url) == before and applied(url) == available()


def test_a_rollback_past_a_prune_takes_nothing_back(db: Connection, db_url: str) -> None:
    """Not even the migrations after it, with the alerts in them."""
    before = entries(db_url)
    db.execute("SELECT tallymark.create_job('j')")
    db.execute("INSERT INTO tallymark.alert (job_id, kind, facts) VALUES ('j', 'failed', '{}')")
    db.execute("INSERT INTO tallymark.job_baseline (job_id, seq, updates, state, digest) VALUES ('j', 1, 1, '{}', '')")
    steps = len(available()) - available().index("0007-retention")
    why = refusal(lambda: rollback(db_url, steps=steps))
    assert "Events were pruned" in why
    assert "nothing was taken back" in why
    assert _unchanged(db_url, before)
    assert db.execute("SELECT count(*) FROM tallymark.alert").fetchone() == (1,)
    assert len(rollback(db_url, steps=steps - 1)) == steps - 1


@pytest.mark.parametrize(
    ("made", "name"),
    [
        ("CREATE VIEW public.mine AS SELECT id, status FROM tallymark.job", "view public.mine"),
        ("CREATE MATERIALIZED VIEW public.mine AS SELECT id FROM tallymark.job", "materialized view public.mine"),
        (
            "CREATE VIEW public.v AS SELECT id FROM tallymark.job; CREATE VIEW public.mine AS SELECT * FROM public.v",
            "view public.mine",
        ),
        ("CREATE VIEW public.mine AS SELECT tallymark.is_terminal('x') AS x", "view public.mine"),
        (
            'CREATE TABLE public.mine (job text COLLATE "C" REFERENCES tallymark.job (id))',
            "table constraint mine_job_fkey on public.mine",
        ),
        ("CREATE TABLE public.mine (x boolean DEFAULT tallymark.is_terminal('x'))", "default value for public.mine.x"),
        ("CREATE TABLE public.mine (x tallymark.job)", "table column public.mine.x"),
        ("CREATE TABLE public.mine (x tallymark.job_area)", "column x of table public.mine"),
        (
            "CREATE FUNCTION public.mine(x tallymark.job) RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "function public.mine(tallymark.job)",
        ),
    ],
)
def test_a_rollback_drops_nothing_that_users_made(db: Connection, db_url: str, made: str, name: str) -> None:
    """It is named, and nothing is taken back. A step that leaves it alone can be taken back."""
    db.execute(made.encode())
    before = entries(db_url)
    why = refusal(lambda: rollback(db_url, steps=len(available())))
    assert name in why
    assert "nothing was taken back" in why
    assert _unchanged(db_url, before)
    assert len(rollback(db_url)) == 1
    migrate(db_url)
    assert _unchanged(db_url, before)


def test_an_upgrade_that_has_to_drop_what_users_build_on_names_it(
    db: Connection, db_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The advice is not PostgreSQL's CASCADE, which would drop it."""
    files = tmp_path / "sql"
    shutil.copytree(sql_root(), files)
    text = f"-- depends: {available()[-1]}\n\nDROP FUNCTION tallymark.is_terminal(text);"
    (files / "migrations" / "9000-drops.sql").write_text(text)
    monkeypatch.setattr("tallymark.schema.migrate.sql_root", lambda: files)
    db.execute("CREATE VIEW public.mine AS SELECT tallymark.is_terminal('x') AS x")
    before = entries(db_url)
    why = refusal(lambda: migrate(db_url))
    assert "view mine" in why.replace("public.", "")
    assert "drop them first, and make them again afterwards" in why
    assert "CASCADE" not in why
    assert entries(db_url) == before


def test_who_holds_our_tables_is_named(db_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After all attempts, nothing was changed."""
    monkeypatch.setattr("tallymark.schema.migrate._LOCK_ATTEMPTS", 1)
    with psycopg.connect(make_conninfo(db_url, application_name="forgotten")) as holder:
        holder.execute("SELECT tallymark.create_job('j')")
        why = refusal(lambda: rollback(db_url))
        assert f"process {holder.info.backend_pid} (user {holder.info.user}, application forgotten)" in why
        assert "holds tallymark.job" in why
    assert applied(db_url) == available()
    assert len(rollback(db_url)) == 1
