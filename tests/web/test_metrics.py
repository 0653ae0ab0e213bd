"""The contents of `/metrics`, from one process and from several, with and without the database."""

import json
import os
import re
import secrets
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import psycopg
from prometheus_client.parser import text_string_to_metric_families
from tests.web.watching import wait_until

from tallymark.functions.tokens import create_token

if TYPE_CHECKING:
    from tests.web.conftest import Web

OPS = Path(__file__).parents[2] / "docs" / "ops"
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scrape(web: "Web") -> Samples:
    """Read all samples, like Prometheus."""
    answer = web.call("GET", "/metrics")
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    """Return one sample; 0 if it is missing."""
    return samples.get((name, tuple(sorted(labels.items()))), 0.0)


def update(job: str, number: int, **more: object) -> dict[str, object]:
    """An update."""
    return {"taskId": job, "updateId": str(number), "status": "processing", "timestamp": "2025-01-06T19:15:30Z", **more}


def test_updates_are_counted_by_what_became_of_them(start_web: Callable[..., "Web"], db_url: str) -> None:
    """Single ones and those of batches, and also the errors that they reported, and their delay."""
    web = start_web(db_url)
    web.register("job")
    web.report(update("job", 1))
    web.report(update("job", 1))
    web.report(update("job", 2, error={"type": "TimeoutError", "message": "no answer"}))
    web.report([update("job", 3), update("job", 3), update("job", 4, itemsByType=7), {"taskId": 5}])
    web.report(update("job", 5, status="Completed"))
    web.report(update("nobody", 6))
    web.report(update("job", 7, status="nonsense"))
    web.report(b"no json")
    samples = scrape(web)

    def counted(outcome: str, status: str = "", code: str = "") -> float:
        return value(samples, "tallymark_updates_total", outcome=outcome, status=status, code=code)

    assert counted("accepted", "processing") == 3
    assert counted("accepted", "completed") == 1
    assert counted("duplicate", "processing") == 2
    assert counted("refused", code="400") == 4
    assert counted("refused", code="404") == 1
    assert value(samples, "tallymark_reported_errors_total", type="TimeoutError") == 1
    assert value(samples, "tallymark_late_updates_total") == 4
    assert value(samples, "tallymark_merge_seconds_count") == 5
    route = {"route": "/api/internal/jobs/progress", "method": "POST"}
    assert value(samples, "tallymark_request_seconds_count", **route, status="2xx") == 5
    assert value(samples, "tallymark_request_seconds_count", **route, status="4xx") == 3
    assert value(samples, "tallymark_pool_connections", pool="write", state="open") >= 1
    assert not [labels for _, labels in samples if "nonsense" in str(labels)], "what was refused names no metric"


def test_what_the_database_says_of_all_jobs_is_there(
    start_web: Callable[..., "Web"], db: psycopg.Connection[Any], db_url: str
) -> None:
    """Jobs, silent jobs, alerts, verification, sizes."""
    web = start_web(db_url)
    for job in ("one", "two"):
        web.register(job)
    web.report(update("one", 1, status="failed", timestamp=datetime.now(UTC).isoformat()))
    db.execute("SELECT tallymark.raise_alerts()")
    db.execute("SELECT tallymark.note_verification('one')")
    samples = scrape(web)
    assert value(samples, "tallymark_database_up") == 1
    assert value(samples, "tallymark_jobs", status="failed") == 1
    assert value(samples, "tallymark_jobs", status="queued") == 1
    assert value(samples, "tallymark_open_alerts", kind="failed") == 1
    assert value(samples, "tallymark_verified_jobs", outcome="exact") == 1
    assert value(samples, "tallymark_table_bytes", table="job_event") > 0


def test_several_processes_count_together_and_the_dead_have_no_connections(
    start_web: Callable[..., "Web"], db_url: str
) -> None:
    """Counts of a crashed worker remain; its open connections do not."""
    web = start_web(db_url, TALLYMARK_WORKERS="3")
    web.register("job")
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda number: web.report(update("job", number)).status, range(120)))
    assert answers == [200] * 120

    def workers() -> list[psutil.Process]:
        return psutil.Process(web.process.pid).children(recursive=True)

    def accepted() -> float:
        labels = {"status": "processing", "outcome": "accepted", "code": ""}
        try:
            return value(scrape(web), "tallymark_updates_total", **labels)
        except OSError:
            return -1  # the one that listened was killed, and its successor does not listen yet

    wait_until(lambda: accepted() == 120)
    before = {process.pid for process in workers()}
    for process in workers():
        os.kill(process.pid, signal.SIGKILL)
        break
    wait_until(lambda: len(workers()) >= len(before) and {process.pid for process in workers()} != before)
    wait_until(lambda: accepted() == 120)
    directory = Path(psutil.Process(workers()[0].pid).environ()["PROMETHEUS_MULTIPROC_DIR"])
    alive = {str(process.pid) for process in workers()}
    wait_until(
        lambda: (
            bool(scrape(web))
            and {file.stem.rpartition("_")[2] for file in directory.glob("gauge_livesum_*.db")} <= alive
        )
    )


def test_without_the_database_the_rest_is_told(start_web: Callable[..., "Web"]) -> None:
    """And a metric says that the database is away."""
    web = start_web("postgresql://127.0.0.1:9/x")
    samples = scrape(web)
    assert value(samples, "tallymark_database_up") == 0
    assert ("tallymark_waiting_requests", ()) in samples


def test_who_may_not_read_everything_is_not_told(
    start_web: Callable[..., "Web"], db: psycopg.Connection[Any], db_url: str
) -> None:
    """A token that reads all jobs is needed, unless the settings open the metrics to everybody."""
    web = start_web(db_url)
    assert web.call("GET", "/metrics", token=None).status == 401
    some = create_token(db, f"some-{secrets.token_hex(4)}", ["read"], job_prefix="a_")
    writes = create_token(db, f"writes-{secrets.token_hex(4)}", ["write"])
    assert web.call("GET", "/metrics", token=some).status == 403
    assert web.call("GET", "/metrics", token=writes).status == 403
    everybody = start_web(db_url, TALLYMARK_METRICS_OPEN="1")
    assert everybody.call("GET", "/metrics", token=None).status == 200


def test_what_was_refused_or_came_twice_is_noted_in_the_database(
    start_web: Callable[..., "Web"], db: psycopg.Connection[Any], db_url: str
) -> None:
    """Job by job, within some seconds; nothing is kept about unregistered jobs."""
    web = start_web(db_url)
    web.register("job")
    for _ in range(3):
        web.report(update("job", 1))
    web.report(update("job", 2, itemsByType={"issues": -1}))
    web.report(update("nobody", 3))

    def noted() -> list[tuple[Any, ...]]:
        query = "SELECT job_id, outcome, code, times, last_problem FROM tallymark.job_intake ORDER BY 2"
        return db.execute(query.encode()).fetchall()

    wait_until(lambda: len(noted()) == 2)
    duplicate, refused = noted()
    assert duplicate[:4] == ("job", "duplicate", "", 2)
    assert refused[:4] == ("job", "refused", "400", 1)
    assert "itemsByType.issues" in refused[4]


def test_the_dashboard_and_the_rules_ask_for_metrics_that_there_are(
    start_web: Callable[..., "Web"], db: psycopg.Connection[Any], db_url: str
) -> None:
    """Every name in docs/ops is in a real scrape, or belongs to a replica or to a node."""
    web = start_web(db_url)
    web.register("job")
    web.report(update("job", 1, error="boom"))
    db.execute("SELECT tallymark.note_verification('job')")
    elsewhere = {"tallymark_replica_used", "tallymark_replica_lag_seconds", "tallymark_node_up"}
    known = {name for name, _ in scrape(web)} | elsewhere
    for file in ("grafana-dashboard.json", "prometheus-alerts.yml"):
        asked = set(re.findall(r"tallymark_[a-z_]+", (OPS / file).read_text()))
        assert len(asked) > 5, file
        assert asked - known == set(), file
    panels = json.loads((OPS / "grafana-dashboard.json").read_text())["panels"]
    assert all(target["expr"] for panel in panels for target in panel.get("targets", []))
