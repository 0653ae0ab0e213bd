"""`/metrics`, as Prometheus reads it: what the processes counted, and what the database says of all jobs.

What is counted comes from all processes that count together. Figures of the database are read when somebody asks, and
kept for some seconds, so that it does not matter how many ask. Where the database is away, the rest is told, and that.
"""

import json
import os
import time
from collections.abc import Iterator
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
from tallymark.functions.http import OPERATING_FIGURES
from tallymark.settings import Settings
from tallymark.web.auth.callers import caller
from tallymark.web.auth.tokens import Tokens
from tallymark.web.db.pool import Database
from tallymark.web.db.replica import Reader
from tallymark.web.http.problems import Problem
from tallymark.web.live.gate import Gate
from tallymark.web.telemetry.measures import DIRECTORY_VARIABLE, collected
from tallymark.web.telemetry.meters import meters

#: How old the figures of the database may be.
_FRESH_SECONDS = 10.0
#: How often a process says how its pools and its line are.
_SAMPLE_SECONDS = 2.0


def add_metrics(app: Flask, tokens: Tokens, settings: Settings, pools: dict[str, Database], reader: Reader) -> None:
    """Give an application the route of metrics.

    Args:
        app: The application, with its gate.
        tokens: Who may ask, unless the settings say that everybody may.
        settings: Whether everybody may.
        pools: The pools of connections, by what people call them.
        reader: Where to read.
    """
    figures = Figures(reader)
    sampler = _Sampler(app.extensions["tallymark.gate"], pools)

    def answer() -> Response:
        sampler.sample()
        _forget_the_dead()
        of_database = CollectorRegistry()
        of_database.register(figures)
        text = generate_latest(collected()) + generate_latest(of_database)
        return Response(text, content_type=CONTENT_TYPE_LATEST)

    if settings.metrics_open:
        app.add_url_rule("/metrics", "get_metrics", answer, methods=["GET"])
    else:

        @app.get("/metrics")
        @tokens.required_scope("read")
        def get_metrics() -> Response:
            """Give all metrics."""
            if caller().job_prefix:
                explanation = "This token is for some jobs only, and metrics are of all of them."
                raise Problem(HTTPStatus.FORBIDDEN, "Forbidden", explanation=explanation)
            return answer()

    # A process that only takes updates is asked for nothing, so it says how it is by itself, from its first request on.
    app.extensions["tallymark.gate"].when_entered_first(sampler.begin)


class Figures(Collector):
    """What the database says of all jobs."""

    def __init__(self, reader: Reader) -> None:
        """Say where to read."""
        self._reader = reader
        self._lock = Lock()
        self._read_at = 0.0
        self._figures: dict[str, Any] | None = None

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        figures = self._fresh()
        up = GaugeMetricFamily("tallymark_database_up", "Whether the database can be read")
        up.add_metric([], 0 if figures is None else 1)
        yield up
        lag = self._reader.lag
        if lag is not None:
            used = GaugeMetricFamily("tallymark_replica_used", "Whether this process reads from the replica")
            used.add_metric([], int(lag.used))
            yield used
            if lag.seconds is not None:
                behind = GaugeMetricFamily("tallymark_replica_lag_seconds", "How far the replica is behind")
                behind.add_metric([], lag.seconds)
                yield behind
        if figures is not None:
            yield from _of_jobs(figures)
            yield from _of_tables(figures["tables"] or {})

    def _fresh(self) -> dict[str, Any] | None:
        with self._lock:
            if time.monotonic() - self._read_at > _FRESH_SECONDS:
                try:
                    [answer] = self._reader.call(OPERATING_FIGURES)
                    self._figures = json.loads(answer or b"null")
                    self._read_at = time.monotonic()
                except TallymarkError:
                    self._figures = None
            return self._figures


def _of_jobs(figures: dict[str, Any]) -> Iterator[Metric]:
    jobs = GaugeMetricFamily("tallymark_jobs", "Jobs by status; up to 100,000 of each are counted", labels=["status"])
    for status, count in sorted((figures["jobs"] or {}).items()):
        jobs.add_metric([status], count)
    yield jobs
    stalled = GaugeMetricFamily("tallymark_stalled_jobs", "Running jobs silent for longer than their habit allows")
    stalled.add_metric([], figures["stalled"])
    yield stalled
    alerts = GaugeMetricFamily("tallymark_open_alerts", "Alerts that are open, by kind", labels=["kind"])
    for kind in ("stalled", "failed", "credentials", "errors", "mismatch"):
        alerts.add_metric([kind], figures["alerts"].get(kind, 0))
    yield alerts
    checks = figures["checks"]
    verified = GaugeMetricFamily(
        "tallymark_verified_jobs", "Jobs by how they compared with their ledgers when last verified", labels=["outcome"]
    )
    verified.add_metric(["exact"], checks["exact"])
    verified.add_metric(["differing"], checks["differing"])
    yield verified
    if checks["newestSeconds"] is not None:
        ago = GaugeMetricFamily("tallymark_verification_age_seconds", "How long ago a job was last verified")
        ago.add_metric([], checks["newestSeconds"])
        yield ago


def _of_tables(tables: dict[str, Any]) -> Iterator[Metric]:
    rows = GaugeMetricFamily("tallymark_table_rows", "Rows; job_event is the ledger (estimate)", labels=["table"])
    dead = GaugeMetricFamily(
        "tallymark_table_dead_rows", "Rows that are to be cleared away (estimate)", labels=["table"]
    )
    size = GaugeMetricFamily("tallymark_table_bytes", "Size of a table with its indexes", labels=["table"])
    for table, found in sorted(tables.items()):
        rows.add_metric([table], found["rows"])
        dead.add_metric([table], found["deadRows"])
        size.add_metric([table], found["bytes"])
    yield from (rows, dead, size)


class _Sampler:
    """Says how the pools and the line of this process are, now and then, for whichever process is asked."""

    def __init__(self, gate: Gate, pools: dict[str, Database]) -> None:
        self._gate = gate
        self._pools = pools
        self._lock = Lock()
        self._turned_away = 0
        self._began = False

    def begin(self) -> None:
        """Begin, in this process; doing it again changes nothing."""
        with self._lock:
            if self._began:
                return
            self._began = True
        Thread(target=self._go_on, name="tallymark-sampler", daemon=True).start()

    def sample(self) -> None:
        """Say how it is now."""
        with self._lock:
            turned_away, self._turned_away = self._gate.turned_away - self._turned_away, self._gate.turned_away
        meters.turned_away.inc(turned_away)
        meters.waiting.set(self._gate.waiting)
        for name, pool in self._pools.items():
            for state, count in pool.connections().items():
                meters.connections.labels(name, state).set(count)

    def _go_on(self) -> None:
        while True:
            self.sample()
            time.sleep(_SAMPLE_SECONDS)


def _forget_the_dead() -> None:
    """Have what processes said of themselves forgotten that have ended: a crashed worker has no connections."""
    directory = os.environ.get(DIRECTORY_VARIABLE)
    if not directory:
        return
    for file in Path(directory).glob("gauge_live*_*.db"):
        pid = int(file.stem.rpartition("_")[2])
        if not psutil.pid_exists(pid):
            mark_process_dead(pid)  # type: ignore[no-untyped-call]
