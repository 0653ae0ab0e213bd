"""`/metrics` for Prometheus: what the processes counted, and what the database says about all jobs.

Counts come from all processes that count together. Figures from the database are read on request and cached for some
seconds, so that frequent scrapes cost no more. If the database is away, the rest is served, with
`tallymark_database_up 0`.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import psutil
from flask import Flask, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import mark_process_dead
from prometheus_client.registry import Collector

from tallymark.functions.errors import TallymarkError
from tallymark.functions.http import DATABASE_FIGURES, OPERATING_FIGURES
from tallymark.settings import Settings
from tallymark.web.auth.tokens import Tokens, caller
from tallymark.web.db.merging import Merger
from tallymark.web.db.patience import Patience
from tallymark.web.db.pool import Database
from tallymark.web.db.readiness import Readiness
from tallymark.web.db.replica import Reader
from tallymark.web.http.admission import AdmissionQueue
from tallymark.web.http.answers import Problem
from tallymark.web.http.bodies import Bodies
from tallymark.web.telemetry.counters import DIRECTORY_VARIABLE, collected, counters

#: How long figures from the database are used.
_FRESH_SECONDS = 10.0
#: How often a process sets the gauges of its pools and its queue.
_SAMPLE_SECONDS = 2.0


def add_metrics(
    app: Flask,
    tokens: Tokens,
    settings: Settings,
    lines: tuple[AdmissionQueue, Merger, Patience],
    bodies: Bodies,
    pools: dict[str, Database],
    reader: Reader,
    readiness: Readiness,
) -> None:
    """Give an application the route of metrics.

    Args:
        app: The application.
        tokens: Who may read it.
        settings: Whether everybody may, and which processes there are.
        lines: Where requests wait.
        bodies: What reads bodies.
        pools: The pools by their labels.
        reader: Where figures of the database come from.
        readiness: What says whether this process is ready.
    """
    figures = Figures(reader, readiness, b"%d" % settings.never_reported_after)
    sampler = _Sampler(lines, bodies, pools)

    def answer() -> Response:
        sampler.sample()
        _forget_ended_processes()
        from_database = CollectorRegistry()
        from_database.register(figures)
        text = generate_latest(collected()) + generate_latest(from_database)
        return Response(text, content_type=CONTENT_TYPE_LATEST)

    if settings.metrics_open:
        app.add_url_rule("/metrics", "get_metrics", answer, methods=["GET"])
    else:

        @app.get("/metrics")
        @tokens.required_scope("read")
        def get_metrics() -> Response:
            """Return all metrics."""
            if caller().job_prefix:
                explanation = "This token is for some jobs only, but metrics cover all jobs."
                raise Problem(HTTPStatus.FORBIDDEN, "Forbidden", explanation=explanation)
            return answer()

    # Any process may answer the scrape, so each one keeps its own gauges up to date from its first request on.
    lines[0].on_first_entry(sampler.begin)


class Figures(Collector):
    """Figures from the database about all jobs."""

    def __init__(self, reader: Reader, readiness: Readiness, never_reported: bytes) -> None:
        """Nothing is read before the first scrape."""
        self._never_reported = never_reported
        self._reader = reader
        self._readiness = readiness
        self._is_up = False
        self._lock = Lock()
        self._read_at = 0.0
        self._figures: dict[str, Any] | None = None

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        figures = self._fresh()
        yield _gauge("tallymark_database_up", "Whether the database takes updates and can be read", self._is_up)
        lag = self._reader.lag
        if lag is not None:
            yield _gauge("tallymark_replica_used", "Whether this process reads from the replica", lag.used)
            if lag.seconds is not None:
                help_text = "How far the replica is behind the primary"
                yield _gauge("tallymark_replica_lag_seconds", help_text, lag.seconds)
        if figures is not None:
            if "jobs" in figures:
                yield from _of_jobs(figures)
            yield from _of_tables(figures["tables"] or {})
            if nodes := figures.get("nodes"):
                help_text = "Whether a node of the distributed database answers"
                yield _gauge("tallymark_node_up", help_text, {n["node"]: n["answers"] for n in nodes}, "node")

    def _fresh(self) -> dict[str, Any] | None:
        with self._lock:
            if time.monotonic() - self._read_at > _FRESH_SECONDS:
                self._is_up = self._readiness.holds()
                try:
                    [answer] = self._reader.call(OPERATING_FIGURES, self._never_reported)
                    self._figures = json.loads(answer or b"null")
                    self._read_at = time.monotonic()
                except TallymarkError:
                    self._figures = self._of_nodes() if self._is_up else None
            return self._figures

    def _of_nodes(self) -> dict[str, Any] | None:
        """Read what can be said while a node is away that has some of the jobs; None where that is not the reason."""
        try:
            [answer] = self._reader.call(DATABASE_FIGURES)
        except TallymarkError:
            return None
        sizes = json.loads(answer or b"{}")
        return {"tables": {}, "nodes": sizes["nodes"]} if "nodes" in sizes else None


def _of_jobs(figures: dict[str, Any]) -> Iterator[Metric]:
    jobs = dict(sorted((figures["jobs"] or {}).items()))
    yield _gauge("tallymark_jobs", "Jobs by status; at most 100,000 of each are counted", jobs, "status")
    yield _gauge("tallymark_stalled_jobs", "Running and waiting jobs whose last update is overdue", figures["stalled"])
    states = {"stuck": figures["stuck"], "silent": figures["silent"], "never_reported": figures["neverReported"]}
    yield _gauge("tallymark_silent_jobs", "Jobs that are overdue, by what is known of them", states, "state")
    kinds = ("stalled", "failed", "shortfall", "credentials", "errors", "unusual", "missed", "mismatch")
    alerts = {kind: figures["alerts"].get(kind, 0) for kind in kinds}
    yield _gauge("tallymark_open_alerts", "Open alerts by kind", alerts, "kind")
    checks = figures["checks"]
    verified = {outcome: checks[outcome] for outcome in ("exact", "differing")}
    yield _gauge("tallymark_verified_jobs", "Jobs by the outcome of their last verification", verified, "outcome")
    if checks["newestSeconds"] is not None:
        help_text = "Time since a job was last verified"
        yield _gauge("tallymark_verification_age_seconds", help_text, checks["newestSeconds"])


def _of_tables(tables: dict[str, Any]) -> Iterator[Metric]:
    for name, help_text, member in (
        ("tallymark_table_rows", "Estimated rows; job_event is the ledger", "rows"),
        ("tallymark_table_dead_rows", "Estimated dead rows, removed by vacuum", "deadRows"),
        ("tallymark_table_bytes", "Size of the table with its indexes", "bytes"),
    ):
        # Unknown while a node of a distributed database is away.
        known = {table: found[member] for table, found in sorted(tables.items()) if found[member] is not None}
        yield _gauge(name, help_text, known, "table")


def _gauge(name: str, help_text: str, values: float | Mapping[str, float], label: str = "") -> Metric:
    """Return a gauge: one value, or a value for each value of a label."""
    if not isinstance(values, Mapping):
        return GaugeMetricFamily(name, help_text, value=float(values))
    gauge = GaugeMetricFamily(name, help_text, labels=[label])
    for key, value in values.items():
        gauge.add_metric([key], value)
    return gauge


class _Sampler:
    """Sets the gauges of this process's pools and lines every few seconds."""

    def __init__(
        self, lines: Sequence[AdmissionQueue | Merger | Patience], bodies: Bodies, pools: dict[str, Database]
    ) -> None:
        self._lines = lines
        self._bodies = bodies
        self._pools = pools
        self._lock = Lock()
        self._rejected = 0
        self._began = False

    def begin(self) -> None:
        """Start the thread. Doing it again changes nothing."""
        with self._lock:
            if self._began:
                return
            self._began = True
        Thread(target=self._go_on, name="tallymark-sampler", daemon=True).start()

    def sample(self) -> None:
        """Set the gauges now."""
        with self._lock:
            rejected = self._bodies.rejected + sum(line.rejected for line in self._lines)
            counters.rejected.inc(rejected - self._rejected)
            self._rejected = rejected
        counters.waiting.set(sum(line.waiting for line in self._lines))
        for name, pool in self._pools.items():
            for state, count in pool.connections().items():
                counters.connections.labels(name, state).set(count)

    def _go_on(self) -> None:
        while True:
            self.sample()
            time.sleep(_SAMPLE_SECONDS)


def _forget_ended_processes() -> None:
    """Remove the gauges of processes that have ended: a crashed worker has no connections."""
    directory = os.environ.get(DIRECTORY_VARIABLE)
    if not directory:
        return
    for file in Path(directory).glob("gauge_live*_*.db"):
        pid = int(file.stem.rpartition("_")[2])
        if not psutil.pid_exists(pid):
            mark_process_dead(pid)  # type: ignore[no-untyped-call]
