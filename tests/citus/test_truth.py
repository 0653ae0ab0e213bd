"""What a distributed database says of itself is true: sizes, verification, alerts, and what was pruned."""

import gzip
import itertools
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from psycopg.types.json import Jsonb
from tests.web.conftest import Web

from tallymark.cli import cli
from tallymark.schema.distribute import check_only, distribute

from .cluster import Database, database, on

pytestmark = [pytest.mark.citus, pytest.mark.slow]

JOBS = [f"job_{number}" for number in range(12)]
EVENTS = 40
#: How long a test waits for what it wants to see.
PATIENCE_SECONDS = 60.0
#: Functions for one job that take NULL for a default, with what follows the job's id.
_WITH_DEFAULTS = {
    "prune_job": "'2025-01-01T00:00:00Z', NULL, NULL",
    "rate_page": "NULL",
    "job_liveness": "NULL",
    "get_job": "NULL",
    "create_job": "NULL",
}


@pytest.fixture(scope="module")
def distributed() -> Iterator[Database]:
    """A distributed database with jobs, ledgers, items and a token in it."""
    with database() as made:
        distribute(made.url, shards=8)
        for job in JOBS:
            on(made.url, "SELECT tallymark.create_job(%s)", job)
            updates = [
                {"taskId": job, "updateId": str(number), "itemsByType": {"pages": 1}, "message": "m" * 500}
                for number in range(EVENTS)
            ]
            on(made.url, "SELECT tallymark.merge_progress_batch(%s)", Jsonb(updates))
        on(made.url, "SELECT tallymark.create_token('t', '{read}')")
        yield made


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """Wait until a condition holds."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < give_up, f"waited in vain for {what}"
        time.sleep(0.1)


def figures(url: str) -> Any:  # noqa: ANN401 - the JSON document
    """Read the sizes as the endpoint does, as a reader."""
    with psycopg.connect(url) as connection:
        connection.execute("SET TRANSACTION READ ONLY")
        connection.execute("SET LOCAL ROLE tallymark_reader")
        [document] = connection.execute("SELECT tallymark.database_figures()").fetchone() or [None]
    assert document is not None
    return document


def of_table(document: Any, name: str) -> dict[str, Any]:  # noqa: ANN401 - the JSON document
    """Return the figures of one table."""
    [found] = [table for table in document["tables"] if table["table"] == name]
    return dict(found)


@contextmanager
def away(made: Database) -> Iterator[str]:
    """Have the last worker not answer, as if it were dead: nobody listens at the port where it is looked for."""
    [(node, name, port)] = on(
        made.url, "SELECT nodeid, nodename, nodeport FROM pg_dist_node ORDER BY nodeid DESC LIMIT 1"
    )
    update = "SELECT citus_update_node(%s, %s, %s)"
    on(made.url, update, node, name, 1)
    try:
        yield f"{name}:1"
    finally:
        on(made.url, update, node, name, port)


def test_sizes_are_those_of_all_nodes(distributed: Database) -> None:
    """Each node says the same; copies of a table that each node has count once."""
    for url in distributed.everywhere:
        wait_until(
            lambda url=url: of_table(figures(url), "job_event")["rows"] == len(JOBS) * EVENTS,  # type: ignore[misc]
            f"{len(JOBS) * EVENTS} rows",
        )
        said = figures(url)
        names = on(
            distributed.url, "SELECT logicalrelid::text FROM pg_dist_partition WHERE logicalrelid::text ~ '^tallymark'"
        )
        assert {f"tallymark.{table['table']}" for table in said["tables"]} == {name for (name,) in names}
        assert of_table(said, "job")["rows"] == len(JOBS)
        assert of_table(said, "api_token")["rows"] == 1
        assert of_table(said, "api_token")["bytes"] < of_table(said, "job")["bytes"]
        assert [(node["answers"], node["bytes"] > 0) for node in said["nodes"]] == [(True, True)] * len(
            distributed.everywhere
        )
        assert said["bytes"] == sum(node["bytes"] for node in said["nodes"])
    # What Citus says of the data of all shards, and of their indexes.
    query = "SELECT citus_table_size('tallymark.job_event'), citus_total_relation_size('tallymark.job_event')"

    def agrees() -> bool:
        [(data, total)] = on(distributed.url, query)
        mine = of_table(figures(distributed.url), "job_event")
        return bool((mine["bytes"], mine["bytes"] + mine["indexBytes"]) == (data, total))

    wait_until(agrees, "the sizes that Citus gives")


def test_a_node_that_is_away_is_named_and_nothing_fails(distributed: Database, tmp_path: Path) -> None:
    """What would need it is null. Pages and metrics say which node it is."""
    with away(distributed) as node:
        said = figures(distributed.url)
        assert [(each["node"], each["bytes"]) for each in said["nodes"] if not each["answers"]] == [(node, None)]
        assert said["bytes"] is None
        job = of_table(said, "job")
        assert (job["rows"], job["bytes"], job["indexBytes"], job["deadRows"]) == (None, None, None, None)
        assert of_table(said, "api_token")["rows"] == 1
        web = Web(distributed.url, tmp_path / "log", {})
        try:
            answer = web.call("GET", "/api/internal/database")
            assert (answer.status, answer.json["nodes"]) == (200, said["nodes"])
            scrape = web.call("GET", "/metrics").body.decode()
            assert f'tallymark_node_up{{node="{node}"}} 0.0' in scrape
            assert scrape.count("\ntallymark_node_up{") == len(distributed.everywhere)
        finally:
            web.stop()
    web = Web(distributed.url, tmp_path / "log", {})
    try:
        scrape = web.call("GET", "/metrics").body.decode()
    finally:
        web.stop()
    assert "\ntallymark_node_up{" in scrape
    assert " 0.0" not in [line[-4:] for line in scrape.splitlines() if line.startswith("tallymark_node_up{")]
    assert 'tallymark_table_bytes{table="job_event"}' in scrape
    assert f'tallymark_jobs{{status="running"}} {len(JOBS)}.0' in scrape


def test_the_index_of_times_is_renewed_on_every_node() -> None:
    """Pages that held old events and now hold new ones are not read any more when old ones are looked for."""
    with database() as made:
        distribute(made.url, shards=4)
        for job in JOBS:
            on(made.url, "SELECT tallymark.create_job(%s)", job)
            updates = [{"taskId": job, "updateId": str(n), "message": f"{n} " + "m" * 900} for n in range(500)]
            on(made.url, "SELECT tallymark.merge_progress_batch(%s)", Jsonb(updates))
        on(made.url, "UPDATE tallymark.job_event SET recorded_at = '2025-01-06T10:00:00Z'")
        on(made.url, "VACUUM tallymark.job_event")  # which summarises the pages
        on(made.url, "UPDATE tallymark.job_event SET recorded_at = '2026-01-06T10:00:00Z'")
        on(made.url, "VACUUM tallymark.job_event")
        before = _pages_read(made)
        assert all(pages > 0 for pages in before)
        page: int | None = 0
        calls = 0
        while page is not None:
            [(page,)] = on(made.url, "SELECT tallymark.resummarize_ledger(%s, 64)", page)
            calls += 1
        assert calls > 1
        assert _pages_read(made) == [0] * len(before)


def _pages_read(made: Database) -> list[int]:
    """How many pages a search for events of 2025 reads, in each shard of the ledger that has some."""
    found = []
    for url in made.workers:
        shards = on(
            url,
            """SELECT s.logicalrelid::text || '_' || s.shardid
               FROM pg_dist_placement AS p JOIN pg_dist_shard AS s USING (shardid)
               WHERE s.logicalrelid = 'tallymark.job_event'::regclass
                 AND p.groupid = (SELECT groupid FROM pg_dist_local_group)""",
        )
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SET enable_seqscan = off")
            for (shard,) in shards:
                query = f"SELECT count(*) FROM {shard} WHERE recorded_at < '2025-06-01'"
                [([plan],)] = connection.execute(f"EXPLAIN (ANALYZE, FORMAT json) {query}".encode()).fetchall()
                pages = sum(node.get("Lossy Heap Blocks", 0) for node in _nodes_of(plan["Plan"]))
                [(size,)] = connection.execute("SELECT pg_relation_size(%s) / 8192", [shard]).fetchall()
                if size >= 64:
                    found.append(pages)
    return found


def _nodes_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from _nodes_of(below)


@contextmanager
def busy(made: Database, jobs: list[str]) -> Iterator[None]:
    """Update jobs all the time, two jobs a connection."""
    ended = threading.Event()

    def update(mine: list[str]) -> None:
        with psycopg.connect(made.url, autocommit=True) as connection:
            for job in itertools.cycle(mine):
                body = Jsonb({"updateId": secrets.token_hex(), "itemsByType": {"pages": 1}})
                connection.execute("SELECT tallymark.merge_progress(%s, %s)", [job, body])
                if ended.is_set():
                    return

    threads = [threading.Thread(target=update, args=[jobs[n : n + 2]]) for n in range(0, len(jobs), 2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def test_no_update_is_taken_for_a_mismatch(distributed: Database) -> None:
    """What verifies many jobs finds none that differs, on any node, however busy they are."""
    with busy(distributed, JOBS[:4]):
        for url in distributed.everywhere:
            for _ in range(3):
                [(said,)] = on(url, "SELECT tallymark.verify_newest(20, 1000000)")
                assert (said["differing"], said["checked"]) == ([], len(JOBS))
                [(said,)] = on(url, "SELECT tallymark.verify_next_jobs(most_events => 1000000, again_after => '0')")
                assert (said["differing"], said["checked"]) == ([], len(JOBS))
        result = CliRunner().invoke(cli, ["watchdog", "--once", "--json", "--database-url", distributed.url])
        assert json.loads(result.stdout.splitlines()[-1])["differing"] == []
    assert on(distributed.url, "SELECT count(*) FROM tallymark.job_check WHERE NOT exact") == [(0,)]


def test_a_mismatch_is_found_all_the_same(distributed: Database) -> None:
    """On each node, and it raises an alert that is closed when the job matches again."""
    change = "UPDATE tallymark.job SET progress = progress || %s WHERE id = %s"
    mismatches = "SELECT job_id FROM tallymark.current_alerts WHERE kind = 'mismatch'"
    [(message,)] = on(distributed.url, "SELECT progress -> 'message' FROM tallymark.job WHERE id = %s", JOBS[-1])
    on(distributed.url, change, Jsonb({"message": "of another hand"}), JOBS[-1])
    try:
        for url in distributed.everywhere:
            assert on(url, "SELECT tallymark.verify_job(%s)", JOBS[-1]) == [(False,)]
            assert on(url, "SELECT tallymark.note_verification(%s)", JOBS[-1]) == [(False,)]
            [(said,)] = on(url, "SELECT tallymark.verify_newest(20, 1000000)")
            assert said["differing"] == [JOBS[-1]]
            [(said,)] = on(url, "SELECT tallymark.verify_next_jobs(most_events => 1000000, again_after => '0')")
            assert said["differing"] == [JOBS[-1]]
        query = "SELECT difference ->> 'field' FROM tallymark.job_check WHERE NOT exact"
        assert on(distributed.url, query) == [("message",)]
        on(distributed.workers[0], "SELECT tallymark.raise_alerts()")
        assert on(distributed.url, mismatches) == [(JOBS[-1],)]
    finally:
        on(distributed.url, change, Jsonb({"message": message}), JOBS[-1])
    assert on(distributed.url, "SELECT tallymark.note_verification(%s)", JOBS[-1]) == [(True,)]
    on(distributed.workers[1], "SELECT tallymark.raise_alerts()")
    assert on(distributed.url, mismatches) == []


@pytest.mark.parametrize(
    "call", ["tallymark.raise_alerts()", f"tallymark.prune_job('{JOBS[0]}', '2025-01-01T00:00:00Z')"]
)
def test_two_nodes_do_not_do_the_same_at_once(distributed: Database, call: str) -> None:
    """Watchdogs and prunes of different nodes wait for each other, as they do on one server."""
    for first, second in itertools.permutations(distributed.everywhere, 2):
        with psycopg.connect(first) as holder, psycopg.connect(second) as other:
            holder.execute(f"SELECT {call}".encode())
            other.execute("SET LOCAL citus.propagate_set_commands = 'local'")
            other.execute("SET LOCAL lock_timeout = '100ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                other.execute(f"SELECT {call}".encode())
            other.rollback()
            holder.rollback()
            other.execute(f"SELECT {call}".encode())


def test_rounds_on_all_nodes_tell_of_an_episode_once(distributed: Database) -> None:
    """Each is opened by one of them, and closed by one."""
    failing = JOBS[4:10]
    report = "SELECT tallymark.merge_progress(%s, %s)"
    query = "SELECT count(*), count(recovered_at) FROM tallymark.alert WHERE kind = 'failed'"
    for number in range(1, 4):
        for job in failing:
            on(distributed.url, report, job, Jsonb({"status": "failed", "updateId": f"fails {number}"}))
        _rounds(distributed)
        assert on(distributed.url, query) == [(number * len(failing), (number - 1) * len(failing))]
        for job in failing:
            on(distributed.url, report, job, Jsonb({"status": "started", "updateId": f"starts {number}"}))
        _rounds(distributed)
        assert on(distributed.url, query) == [(number * len(failing), number * len(failing))]


def _rounds(made: Database) -> None:
    """Make rounds of alerts on all nodes at once, two on each."""
    done: list[str] = []

    def round_(url: str) -> None:
        for _ in range(2):
            on(url, "SELECT tallymark.raise_alerts()")
        done.append(url)

    threads = [threading.Thread(target=round_, args=[url]) for url in made.everywhere]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == sorted(made.everywhere)


def test_pruning_passes_over_a_job_that_is_held_and_takes_the_others(distributed: Database, tmp_path: Path) -> None:
    """It waits no longer than on one server. Archives are complete, and all jobs verify."""
    prune = ["prune", "--older-than", "2100-01-01", "--keep", "3", "--json", "--database-url", distributed.url]
    with psycopg.connect(distributed.url) as holder:
        holder.execute("SELECT id FROM tallymark.job WHERE id = %s FOR UPDATE", [JOBS[0]])
        result = CliRunner().invoke(cli, prune)
    done = json.loads(result.stdout)
    assert (result.exit_code, done["passed_over"]) == (1, [JOBS[0]])
    result = CliRunner().invoke(cli, prune)
    assert (result.exit_code, json.loads(result.stdout)["jobs"]) == (0, 1)
    assert on(
        distributed.url, "SELECT max(c) FROM (SELECT count(*) AS c FROM tallymark.job_event GROUP BY job_id) AS n"
    ) == [(3,)]
    result = CliRunner().invoke(cli, ["verify", "--database-url", distributed.url])
    assert result.output == f"{len(JOBS)} jobs checked, 0 differ\n"

    on(distributed.url, "SELECT tallymark.create_job('ended')")
    on(distributed.url, "SELECT tallymark.merge_progress('ended', %s)", Jsonb({"status": "completed"}))
    delete = ["prune", "--delete-ended", "2100-01-01", "--archive", str(tmp_path), "--json"]
    result = CliRunner().invoke(cli, [*delete, "--database-url", distributed.url])
    [archive] = json.loads(result.stdout)["archives"]
    lines = [json.loads(line) for line in gzip.decompress(Path(archive).read_bytes()).splitlines()]
    assert (lines[0]["job"]["id"], len(lines)) == ("ended", 2)
    assert on(distributed.url, "SELECT count(*) FROM tallymark.job_event WHERE job_id = 'ended'") == [(0,)]


def test_null_stands_for_a_default_there_too(distributed: Database) -> None:
    """A function with a default runs where it is called, since one on the job's node gives NULL for NULL.

    What an earlier `distribute` has put on the nodes is found, and taken back.
    """
    calls = [f"{name}('{JOBS[0]}', {given})" for name, given in _WITH_DEFAULTS.items()]
    for url in distributed.everywhere:
        for call in calls:
            assert on(url, f"SELECT tallymark.{call} IS NULL") == [(False,)], call
    signature = "tallymark.prune_job(text, timestamptz, integer, integer)"
    with psycopg.connect(distributed.url, autocommit=True) as connection:
        connection.execute(f"ALTER FUNCTION {signature} STRICT".encode())
        connection.execute(
            "SELECT create_distributed_function(%s, 'job_id', colocate_with => 'tallymark.job')", [signature]
        )
    found = [finding for finding in check_only(distributed.url) if finding.kind == "function"]
    assert [finding.problem.partition(",")[0] for finding in found] == ["runs on the node of its job"]
    said: list[str] = []
    distribute(distributed.url, report=said.append)
    assert "0 functions more run on the node of their job, and 1 do no longer" in said
    assert [finding for finding in check_only(distributed.url) if finding.kind == "function"] == []
    for url in distributed.everywhere:
        assert on(url, f"SELECT tallymark.{calls[0]} IS NULL") == [(False,)]
