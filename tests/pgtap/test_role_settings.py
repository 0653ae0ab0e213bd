"""The files of sql/tests pass for a user with settings of its own."""

import secrets

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests.pgtap.test_pgtap import FILES, run_file


@pytest.mark.deep
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "settings",
    [
        {"DateStyle": "German", "IntervalStyle": "sql_standard", "TimeZone": "Asia/Kathmandu"},
        {"bytea_output": "escape", "array_nulls": "off", "extra_float_digits": "-15", "row_security": "off"},
        {"default_transaction_isolation": "serializable", "plan_cache_mode": "force_custom_plan"},
        {"jit": "on", "jit_above_cost": "0", "from_collapse_limit": "1", "work_mem": "64kB", "search_path": "nowhere"},
    ],
    ids=" ".join,
)
def test_all_files_pass_whatever_a_role_is_set_to(
    settings: dict[str, str], pgtap_url: str, psql_environment: dict[str, str]
) -> None:
    """What a stored function answers is the same, and so is what a DBA reads."""
    user = f"tallymark_test_{secrets.token_hex(6)}"
    failed: dict[str, list[str]] = {}
    with psycopg.connect(pgtap_url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {user} LOGIN SUPERUSER PASSWORD 'p'".encode())
        try:
            for name, value in settings.items():
                connection.execute(f"ALTER ROLE {user} SET {name} = '{value}'".encode())
            url = make_conninfo(pgtap_url, user=user, password="p")
            for path in sorted(FILES.rglob("*.sql")):
                outcome = run_file(path, url, psql_environment)
                wrong = [result.description for result, _ in outcome.results if not result.ok and not result.todo]
                if wrong + outcome.problems:
                    failed[str(path.relative_to(FILES))] = wrong + outcome.problems
        finally:
            connection.execute(f"DROP ROLE {user}".encode())
    assert not failed
