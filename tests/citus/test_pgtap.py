"""The SQL tests on a distributed database.

A file runs in one transaction and asserts with pgTAP's functions, which are on the coordinator only. So most files run
where the jobs are on the workers; those whose own statements need the rows beside them run where all shards are on the
coordinator. There, too, Citus plans each statement of ours. `pgtap_files.py` says which, and what does not run at all.
"""

import itertools
from collections.abc import Callable, Iterator
from urllib.parse import quote

import psycopg
import pytest
from tests.pgtap.conftest import pgtap_sql, psql_environment
from tests.pgtap.test_pgtap import FILES, Outcome, judge, run_file

from tallymark.schema.distribute import distribute

from .cluster import Database, database, on
from .pgtap_files import BESIDE, NOT_KEPT, NOT_THERE

__all__ = ["psql_environment"]

pytestmark = [pytest.mark.citus, pytest.mark.slow]

#: Given to psql. Nothing of a test is for other nodes. Each is reached over one connection, which sees what the
#: transaction has done so far.
_OPTIONS = (
    *("client_min_messages=error", "citus.enable_ddl_propagation=off", "citus.multi_shard_modify_mode=sequential"),
    *("citus.max_adaptive_executor_pool_size=1", "citus.allow_nested_distributed_execution=on"),
)


def load(made: Database, options: tuple[str, ...]) -> str:
    """Load pgTAP on the coordinator alone, and return the URL for psql."""
    with psycopg.connect(made.url, autocommit=True) as connection:
        connection.execute("SET citus.enable_ddl_propagation = off")
        connection.execute("CREATE SCHEMA tap")
        connection.execute("SET search_path = tap")
        connection.execute(pgtap_sql().encode())
        # Nobody may call what a closed node gets.
        connection.execute("GRANT USAGE ON SCHEMA tap TO PUBLIC")
        connection.execute("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA tap TO PUBLIC")
    return f"{made.url}&options={quote(' '.join(f'-c {option}' for option in options), safe='')}"


@pytest.fixture(scope="module")
def on_workers() -> Iterator[str]:
    """A database whose jobs are on the workers. A file is the functions' owner there, as these are."""
    with database() as made:
        distribute(made.url, shards=4)
        yield load(made, (*_OPTIONS, "role=tallymark_owner"))


@pytest.fixture(scope="module")
def on_coordinator() -> Iterator[str]:
    """A database whose shards are all on the coordinator."""
    with database() as made:
        on(
            made.url,
            """SELECT citus_set_node_property(nodename, nodeport, 'shouldhaveshards', groupid = 0) FROM pg_dist_node
               WHERE noderole = 'primary'""",
        )
        distribute(made.url, shards=4)
        yield load(made, _OPTIONS)


def names() -> list[str]:
    """List the files that run there."""
    return [name for name in every() if name not in set().union(*NOT_THERE.values())]


def every() -> list[str]:
    """List all files."""
    return sorted(str(path.relative_to(FILES)) for path in FILES.rglob("*.sql"))


def test_what_does_not_run_there_is_listed_and_counted(record_property: Callable[[str, object], None]) -> None:
    """Each file is in one list at most, and there is each file that a list names."""
    away, beside = (list(itertools.chain(*lists.values())) for lists in (NOT_THERE, BESIDE))
    listed = [*away, *beside]
    assert len(set(listed)) == len(listed)
    assert set(listed) | set(NOT_KEPT) <= set(every())
    assert not set(NOT_KEPT) & set(away)
    promises = sum(map(len, NOT_KEPT.values()))
    record_property(
        "figure",
        f"{len(every()) - len(listed)} files with the jobs on the workers, {len(beside)} with all of them on the "
        f"coordinator; {len(away)} do not run there, and {promises} promises of {len(NOT_KEPT)} files are not kept",
    )


@pytest.mark.parametrize("name", names())
def test_sql(
    name: str, psql_environment: dict[str, str], request: pytest.FixtureRequest, subtests: pytest.Subtests
) -> None:
    """Every promise of the file holds there, too, but for those that are listed, which do not."""
    place = "on_coordinator" if any(name in files for files in BESIDE.values()) else "on_workers"
    outcome: Outcome = run_file(FILES / name, request.getfixturevalue(place), psql_environment)
    not_kept = NOT_KEPT.get(name, {})
    for result, diagnostics in outcome.results:
        promise = result.description.removeprefix("- ")
        with subtests.test(promise):
            if promise in not_kept:
                assert not result.ok, f"is listed as not kept, because {not_kept[promise]}, and holds"
            else:
                judge(result, diagnostics)
    assert not outcome.problems, "\n".join(outcome.problems)
    assert set(not_kept) <= {result.description.removeprefix("- ") for result, _ in outcome.results}
