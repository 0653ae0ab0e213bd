"""Finds pgTAP and makes a database that has it beside the migrated schema, and 1,000 jobs as crawlers leave them.

pgTAP is neither on PyPI nor copied into this repository. It comes from the first of these that has it: the server's own
extension, our cache, a Debian package that is installed, an npm package, a Debian package that is downloaded.
"""

import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from platformdirs import user_cache_path
from pytest_postgresql.executors import NoopExecutor
from pytest_postgresql.janitor import DatabaseJanitor

NPM_PACKAGE = "@electric-sql/pglite-pgtap@0.0.15"
DEBIAN_PACKAGE = "postgresql-15-pgtap"
NETWORK_SECONDS = 60
LIVE_JOBS = Path(__file__).parent / "live_jobs.sql"


@pytest.fixture(scope="session")
def pgtap_url(template: NoopExecutor, url_of: Callable[[str], str]) -> Iterator[str]:
    """The URL of a database in use, with pgTAP in the schema `tap`; the files that use it roll back."""
    janitor = DatabaseJanitor(
        user=template.user,
        host=template.host,
        port=template.port,
        dbname=f"{template.dbname}_pgtap",
        template_dbname=template.template_dbname,
        maintenance_dbname=template.maintenance_dbname,
        password=template.password,
    )
    with janitor:
        url = url_of(janitor.dbname)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(LIVE_JOBS.read_bytes())
            connection.execute("CREATE SCHEMA tap")
            if is_extension(connection):
                connection.execute("CREATE EXTENSION pgtap SCHEMA tap")
            else:
                connection.execute("SET search_path = tap")
                connection.execute(pgtap_sql().encode())
        yield url


def is_extension(connection: psycopg.Connection[Any]) -> bool:
    """Whether the server has pgTAP installed as an extension."""
    return connection.execute("SELECT FROM pg_available_extensions WHERE name = 'pgtap'").fetchone() is not None


def pgtap_sql() -> str:
    """Return pgTAP as one SQL script; skips the test with the reason where there is none."""
    cached = user_cache_path("tallymark-tests") / "pgtap.sql"
    if not cached.exists():
        text = from_installed_package() or from_npm() or from_debian()
        if text is None:
            pytest.skip(
                "NOT TESTED: the SQL functions by pgTAP, which is not installed, and neither npm nor apt-get could"
                " fetch (Debian: apt-get install postgresql-15-pgtap)"
            )
        cached.parent.mkdir(parents=True, exist_ok=True)
        # Written to another name and moved, because another worker may do the same.
        with tempfile.NamedTemporaryFile("w", dir=cached.parent, delete=False, encoding="utf-8") as file:
            file.write(text)
        Path(file.name).replace(cached)
    return cached.read_text(encoding="utf-8")


def newest(directory: Path) -> str | None:
    """Return the newest full installation script in a directory of extensions, ready to run."""
    scripts = [path for path in directory.glob("pgtap--*.sql") if path.stem.count("--") == 1]
    if not scripts:
        return None
    path = max(scripts, key=lambda script: [int(part) for part in script.stem.removeprefix("pgtap--").split(".")])
    return path.read_text(encoding="utf-8")


def from_installed_package() -> str | None:
    """Take it from a Debian package, for any PostgreSQL version, that is installed on this machine."""
    for directory in sorted(Path("/usr/share/postgresql").glob("*/extension"), reverse=True):
        if text := newest(directory):
            return text
    return None


def from_npm() -> str | None:
    """Fetch the npm package; inside is a tar archive with PostgreSQL's share directory."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        if not run("npm", "pack", "--silent", NPM_PACKAGE, cwd=directory):
            return None
        (package,) = directory.glob("*.tgz")
        with tarfile.open(package) as outer:
            member = outer.extractfile("package/dist/pgtap.tar.gz")
            if member is None:
                return None
            with tarfile.open(fileobj=io.BytesIO(member.read())) as inner:
                inner.extractall(directory, filter="data")
        return newest(directory / "share/postgresql/extension")


def from_debian() -> str | None:
    """Download the Debian package and unpack it, without installing it."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        # As root, apt-get downloads as a user of its own, who must be able to write here.
        directory.chmod(0o777)
        if not run("apt-get", "download", DEBIAN_PACKAGE, cwd=directory):
            return None
        (package,) = directory.glob("*.deb")
        if not run("dpkg", "-x", str(package), str(directory / "root"), cwd=directory):
            return None
        return newest(directory / "root/usr/share/postgresql/15/extension")


def run(program: str, *arguments: str, cwd: Path) -> bool:
    """Run a program quietly; return whether it exists and succeeded in time."""
    path = shutil.which(program)
    if path is None:
        return False
    command = [path, *arguments]
    try:
        return (
            subprocess.run(command, cwd=cwd, capture_output=True, timeout=NETWORK_SECONDS, check=False).returncode == 0
        )
    except subprocess.TimeoutExpired:
        return False


@pytest.fixture(scope="session")
def psql_environment() -> dict[str, str]:
    """Our environment without variables that affect psql, and with messages in English."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C.UTF-8"}
