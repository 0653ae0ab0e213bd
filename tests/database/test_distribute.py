"""What of `tallymark distribute` can be shown without a cluster; tests/citus has the rest."""

from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from tallymark.cli import cli
from tallymark.schema.cluster import DELEGATED, READ_BY_VIEWS, READERS, ROLES, Node
from tallymark.schema.nodes import wrong_settings_of

Connection = psycopg.Connection[Any]

RIGHT = {
    "citus.recover_2pc_interval": "5000",
    "max_connections": "100",
    "max_prepared_transactions": "100",
    "wal_level": "logical",
    "fsync": "on",
}


@pytest.mark.parametrize("options", [[], ["--check"], ["--shards", "8", "--json"]])
def test_a_database_without_citus_is_refused_with_cause_and_cure(
    db: Connection, db_url: str, options: list[str]
) -> None:
    """And nothing is changed there."""
    before = db.execute("SELECT count(*) FROM pg_default_acl").fetchone()
    result = CliRunner().invoke(cli, ["distribute", "--database-url", db_url, *options])
    assert result.exit_code == 2
    assert "this database has no Citus" in result.output
    assert "docs/scaling.md" in result.output
    assert db.execute("SELECT count(*) FROM pg_default_acl").fetchone() == before
    # The server has roles of other tests, too.
    query = "SELECT rolname FROM pg_roles WHERE rolname = ANY (%s) AND rolcanlogin"
    assert db.execute(query, [list(ROLES)]).fetchall() == []


def test_functions_that_run_on_the_node_of_their_job_may_be_strict(db: Connection) -> None:
    """They take a job's id, give one value, and have no argument with a default, for which NULL would stand."""
    rows = db.execute(
        """SELECT p.proname, p.proretset, 'job_id' = ANY (p.proargnames), p.pronargdefaults > 0
           FROM pg_proc AS p WHERE p.pronamespace = 'tallymark'::regnamespace AND p.proname = ANY (%s)""",
        [sorted(DELEGATED)],
    ).fetchall()
    assert {name for name, *_ in rows} == DELEGATED
    assert [row for row in rows if row[1] or not row[2] or row[3]] == []


def test_the_tables_behind_the_views_are_known(db: Connection) -> None:
    """Readers need rights on them in a distributed database. No other role, and no other table, is among them."""
    tables = db.execute(
        """SELECT DISTINCT d.refobjid::regclass::text FROM pg_class AS v JOIN pg_rewrite AS r ON r.ev_class = v.oid
             JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
             JOIN pg_class AS t ON d.refclassid = 'pg_class'::regclass AND t.oid = d.refobjid AND t.relkind = 'r'
           WHERE v.relkind = 'v' AND v.relnamespace = 'tallymark'::regnamespace"""
    ).fetchall()
    assert {name for (name,) in tables} == set(READ_BY_VIEWS)
    roles = db.execute(
        """SELECT DISTINCT a.grantee::regrole::text FROM pg_class AS v, aclexplode(v.relacl) AS a
           WHERE v.relkind = 'v' AND v.relnamespace = 'tallymark'::regnamespace AND a.grantee <> v.relowner"""
    ).fetchall()
    assert {name for (name,) in roles} == set(READERS)


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({}, []),
        ({"citus.recover_2pc_interval": "60000"}, [("citus.recover_2pc_interval", "60s")]),
        ({"citus.recover_2pc_interval": "-1"}, [("citus.recover_2pc_interval", "-0.001s")]),
        ({"max_prepared_transactions": "99"}, [("max_prepared_transactions", "99")]),
        ({"wal_level": "replica"}, [("wal_level", "replica")]),
        ({"fsync": "off"}, [("fsync", "off")]),
    ],
)
def test_settings_of_a_node_that_lose_updates_or_stop_it_are_found(
    changed: dict[str, str], found: list[tuple[str, str]]
) -> None:
    """With the value that is right, and the node in the problem and in the fix."""
    findings = list(wrong_settings_of(Node(2, 1, "second", 5432), RIGHT | changed))
    assert [(finding.object, finding.found) for finding in findings] == found
    assert all("second:5432" in finding.problem and "second:5432" in finding.fix for finding in findings)
