"""docs/sql-api.md is what the database says of its functions."""

import runpy
from pathlib import Path
from typing import Any

import psycopg
import pytest

Connection = psycopg.Connection[Any]

_DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_what_the_database_says(db: Connection) -> None:
    """Every function, its arguments, its COMMENT and its grants: after a change, `make docs` writes the page."""
    if db.info.server_version // 10_000 != 18:
        pytest.skip("the page is written on PostgreSQL 18, which writes defaults its own way")
    page: str = runpy.run_path(str(_DOCS / "write_sql_api.py"))["page"](db)
    assert (_DOCS / "sql-api.md").read_text(encoding="utf-8") == page


def test_no_public_function_lacks_a_description(db: Connection) -> None:
    """What it does, and what it returns; its arguments where it has any."""
    wanting = [
        name
        for name, arguments, comment, is_void in db.execute(
            "SELECT proname, pronargs, coalesce(obj_description(oid, 'pg_proc'), ''), prorettype = 'void'::regtype"
            " FROM pg_proc AS p"
            " WHERE pronamespace = 'tallymark'::regnamespace AND EXISTS (SELECT FROM aclexplode(proacl) AS a"
            " WHERE a.privilege_type = 'EXECUTE' AND a.grantee <> proowner)"
        )
        if ("Returns: " not in comment and not is_void) or (arguments and "Arguments: " not in comment)
    ]
    assert wanting == []


def test_the_callers_that_a_comment_names_are_those_that_may_call(db: Connection) -> None:
    """The GRANTs decide; the COMMENT says the same."""
    differing = [
        (name, said, granted)
        for name, said, granted in db.execute(
            "SELECT proname, substring(obj_description(oid, 'pg_proc') FROM 'Callers: ([^.]*)\\.'),"
            " (SELECT string_agg(grantee::regrole::text, ', ' ORDER BY grantee::regrole::text DESC)"
            "  FROM aclexplode(proacl) WHERE grantee <> proowner)"
            " FROM pg_proc WHERE pronamespace = 'tallymark'::regnamespace"
        )
        if said is not None and sorted(said.split(", "), reverse=True) != granted.split(", ")
    ]
    assert differing == []
