"""Memory of a session on the node of a job: it stays the same, also with a Citus that keeps a plan for each query."""

import json
from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tallymark.functions.session import connect
from tallymark.schema.distribute import check_only, distribute
from tallymark.schema.kept_plans import SETTING

from .cluster import Database, database, on

pytestmark = [pytest.mark.citus, pytest.mark.slow]

JOBS = [f"crawl_{number}" for number in range(8)]
Connection = psycopg.Connection[object]
UNSET = f"ALTER DATABASE {{}} RESET {SETTING}"
_NODE_OF = """
SELECT n.nodeport FROM pg_dist_placement AS p JOIN pg_dist_node AS n USING (groupid)
WHERE p.shardid = get_shard_id_for_distribution_column('tallymark.job', %s::text)
"""


@pytest.fixture(scope="module")
def distributed() -> Iterator[Database]:
    """A database that is distributed, with some jobs in it."""
    with database() as made:
        distribute(made.url, shards=4)
        for job in JOBS:
            on(made.url, "SELECT tallymark.create_job(%s)", job)
        yield made


def update(job: str, number: int) -> dict[str, object]:
    """An update of its own."""
    return {"taskId": job, "status": "processing", "timestamp": f"2026-01-01T00:{number // 60:02}:{number % 60:02}Z"}


def single(connection: Connection, job: str, number: int) -> object:
    """Call merge_progress."""
    sql = "SELECT tallymark.merge_progress(%s, %s)"
    return connection.execute(sql, [job, Jsonb(update(job, number))]).fetchone()


def batch(connection: Connection, job: str, number: int) -> object:
    """Call merge_progress_batch."""
    sql = "SELECT tallymark.merge_progress_batch(%s)"
    return connection.execute(sql, [Jsonb([update(job, number)])]).fetchone()


def group(connection: Connection, job: str, number: int) -> object:
    """Call receive_group, which waits and would register an unknown job."""
    sql = "SELECT answer FROM tallymark.receive_group(%s::jsonb[], '{}', '{}', %s, true)"
    return connection.execute(sql, [[json.dumps(update(job, number))], number % 2 == 0]).fetchone()


def for_job(connection: Connection, job: str, number: int) -> object:
    """Call receive_for_job with two updates."""
    sql = "SELECT tallymark.receive_for_job(%s, %s::jsonb[], '{NULL,NULL}', '{NULL,NULL}', false, 1000, false)"
    bodies = [json.dumps(update(job, 2 * number + more)) for more in range(2)]
    return connection.execute(sql, [job, bodies]).fetchone()


@pytest.mark.parametrize("ours", [False, True], ids=["a caller's session", "a session of ours"])
@pytest.mark.parametrize("call", [single, batch, group, for_job])
def test_updates_leave_nothing_in_the_memory_of_a_session(
    distributed: Database, call: Callable[[Connection, str, int], object], ours: bool
) -> None:
    """Not even on the node of the job, where all of it runs."""
    job = JOBS[(single, batch, group, for_job).index(call) * 2 + ours]
    [(port,)] = on(distributed.url, _NODE_OF, job)
    node = next(url for url in distributed.workers if str(port) in url)
    with connect(node) if ours else psycopg.connect(node, autocommit=True) as connection:
        kept = []
        for number in range(60):
            answer = call(connection, job, number)
            assert isinstance(answer, tuple)
            assert '"received"' in json.dumps(answer[0]).replace("\\", "")
            if number % 20 == 19:
                sql = "SELECT sum(used_bytes) FROM pg_backend_memory_contexts WHERE name = 'CachedPlan'"
                kept.append(connection.execute(sql).fetchone())
    assert kept[1] == kept[2]


def test_a_node_that_keeps_plans_is_found_and_set(distributed: Database) -> None:
    """And one that does not is left as it is, or freed of a setting that it does not need any more."""
    node = distributed.workers[0]
    [(growth, name)] = on(node, "SELECT tallymark.plan_growth(), current_database()")
    on(node, UNSET.format(name))
    wrong = [finding.object for finding in check_only(distributed.url) if finding.object == SETTING]
    assert wrong == ([SETTING] if growth else [])
    if not growth:
        on(node, f"ALTER DATABASE {name} SET {SETTING} = force_custom_plan")
    said: list[str] = []
    found = distribute(distributed.url, report=said.append)
    assert SETTING not in [finding.object for finding in found]
    [(mode,)] = on(node, f"SELECT current_setting('{SETTING}')")
    assert mode == ("force_custom_plan" if growth else "auto")
    assert any("plans each query by itself" in line for line in said) == bool(growth)


def test_a_node_without_jobs_is_set_before_jobs_are_moved_to_it() -> None:
    """It cannot be measured, so it is set as the others are; afterwards there is nothing to find."""
    with database(known=1) as made:
        distribute(made.url, shards=4)
        made.add_worker(1)
        old, new = made.workers[:2]
        [(growth,)] = on(old, "SELECT tallymark.plan_growth()")
        wrong = [finding.object for finding in check_only(made.url) if finding.object == SETTING]
        assert wrong == ([SETTING] if growth else [])
        distribute(made.url)
        [(mode,)] = on(new, f"SELECT current_setting('{SETTING}')")
        assert mode == ("force_custom_plan" if growth else "auto")
        on(made.url, "SELECT rebalance_table_shards(shard_transfer_mode => 'block_writes')")
        [(has_jobs,)] = on(new, "SELECT count(*) > 0 FROM pg_dist_placement JOIN pg_dist_local_group USING (groupid)")
        assert has_jobs
        assert SETTING not in [finding.object for finding in check_only(made.url)]


def test_the_coordinator_keeps_its_plans(distributed: Database) -> None:
    """It gets no jobs, so its plans are not those of queries of a job that is on the server itself."""
    [(mode,)] = on(distributed.url, f"SELECT current_setting('{SETTING}')")
    assert mode == "auto"
