"""The files of sql/tests pass under plain pg_prove too, which is what a DBA runs."""

import shutil
import subprocess
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

FILES = Path(__file__).parents[2] / "sql" / "tests"


@pytest.mark.skipif(
    shutil.which("pg_prove") is None,
    reason="NOT TESTED: pg_prove is not installed (Debian: libtap-parser-sourcehandler-pgtap-perl)",
)
@pytest.mark.skipif(
    shutil.which("psql") is None, reason="NOT TESTED: pg_prove, since psql, which it starts, is not installed"
)
@pytest.mark.timeout(600)
def test_all_files_pass_under_pg_prove(pgtap_url: str, psql_environment: dict[str, str]) -> None:
    """pg_prove over all files succeeds, as sql/tests/README.md says it does."""
    parts = {key: str(value) for key, value in conninfo_to_dict(pgtap_url).items()}
    command = ["pg_prove", "-h", parts["host"], "-p", parts["port"], "-U", parts["user"], "-d", parts["dbname"]]
    done = subprocess.run(
        [*command, "--recurse", "--ext", ".sql", str(FILES)],
        capture_output=True,
        text=True,
        check=False,
        env=psql_environment | {"PGPASSWORD": parts.get("password", "")},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Result: PASS" in done.stdout
