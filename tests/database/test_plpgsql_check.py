"""plpgsql_check finds mistakes in PL/pgSQL functions that only show when a branch runs."""

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tallymark.schema.migrate import migrate
from tallymark.server.cluster import environment
from tallymark.server.ports import some_free_port
from tallymark.server.postgres_user import choose_user

#: Except its warning about `v_list jsonb := '[]'`: it expects a cast from text at every call, but PostgreSQL makes
#: a constant of it. What belongs to Citus is not here, and is only asked for where it is.
CHECK = """
SELECT p.oid::regprocedure || ' line ' || coalesce(c.lineno::text, '?') || ': ' || c.level || ': ' || c.message
FROM pg_proc AS p JOIN pg_language AS l ON l.oid = p.prolang AND l.lanname = 'plpgsql',
  LATERAL plpgsql_check_function_tb(
    p.oid, fatal_errors => false, security_warnings => true, performance_warnings => false
  ) AS c
WHERE p.pronamespace = 'tallymark'::regnamespace
  AND NOT (c.sqlstate = '42804' AND c.level = 'warning' AND c.detail LIKE 'cast "text" value to %')
  AND NOT (c.sqlstate IN ('42P01', '42883') AND p.prosrc LIKE '%pg_catalog.pg_dist_partition%'
    AND c.message ~ '^(relation "pg_dist_|function (run_command_on|get_shard_id))')
ORDER BY 1
"""


@contextlib.contextmanager
def debian_server() -> Iterator[str]:
    """Run Debian's PostgreSQL, if it is installed with plpgsql_check, and give the URL of a database on it."""
    controls = sorted(Path("/usr/share/postgresql").glob("*/extension/plpgsql_check.control"), reverse=True)
    programs = [Path("/usr/lib/postgresql") / control.parent.parent.name / "bin" for control in controls]
    usable = [path for path in programs if (path / "initdb").exists()]
    if not usable:
        pytest.skip("no server with plpgsql_check: neither the tests' own nor one of Debian's has it")
    # Not under pytest's own directory, which PostgreSQL's user, when we are root, may not enter.
    with tempfile.TemporaryDirectory(prefix="tallymark-check-") as name:
        user = choose_user(Path(name), usable[0] / "postgres")
        data, port = f"{name}/data", str(some_free_port("127.0.0.1"))

        def run(program: str, *arguments: str) -> None:
            command = [*user.prefix, str(usable[0] / program), *arguments]
            options = user.popen_arguments()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/", env=environment(), **options)

        run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8", "--locale=C.UTF-8")
        listen = f"-h 127.0.0.1 -p {port} -k {name} -F"
        run("pg_ctl", "-w", "-D", data, "-o", listen, "-l", f"{name}/log", "start")
        try:
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "-w", "-m", "immediate", "-D", data, "stop")


@pytest.fixture
def checked_url(db: psycopg.Connection[tuple[object, ...]], db_url: str) -> Iterator[str]:
    """The URL of a migrated database on a server that has plpgsql_check."""
    if db.execute("SELECT FROM pg_available_extensions WHERE name = 'plpgsql_check'").fetchone():
        yield db_url
    else:
        with debian_server() as url:
            migrate(url)
            yield url


def test_plpgsql_check_has_nothing_to_say(checked_url: str) -> None:
    """No branch of a function has a wrong name or type, no variable is unused, no EXECUTE is unsafe."""
    with psycopg.connect(checked_url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION plpgsql_check SCHEMA public")
        found = [str(line) for (line,) in connection.execute(CHECK)]
    assert not found, "\n".join(found)
