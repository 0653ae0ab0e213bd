"""What the processes count, and `/api/internal/endpoint`: requests and latencies by route, since counting began.

Several worker processes count together if `PROMETHEUS_MULTIPROC_DIR` names a directory that they share; `tallymark
serve` and `up` see to that. Without it each process counts for itself.
"""

import json
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask, Response
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from tallymark.web.auth.tokens import Tokens, caller
from tallymark.web.db.replica import Reader
from tallymark.web.http.answers import Problem, json_answer
from tallymark.web.http.requests import Query

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

#: Where prometheus_client looks for the shared directory when it is imported.
DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
#: Seconds. Values between two bounds are interpolated, so the bounds are close where most answers are.
BUCKETS = (
    *(0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075),
    *(0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0),
)
#: How many types of errors have a counter each; crawlers may send any.
_MAX_ERROR_TYPES = 50
_MAX_TYPE_LENGTH = 60
#: A client may send any word as a method, and each label takes memory.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: A stream is open for as long as somebody looks at a page, which is no latency.
_STREAMS = frozenset({"/events"})
_UNKNOWN = "unknown"
_PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}

_registry = CollectorRegistry()
# The library would add a creation time for each counter of each process, and double what is scraped.
disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no types


class Counters:
    """The metrics of this process; each process has one set."""

    def __init__(self) -> None:
        """Register all of them."""
        self.request_seconds = Histogram(
            "tallymark_request_seconds",
            "Time from receiving a request to answering it",
            ("route", "method", "status"),
            buckets=BUCKETS,
            registry=_registry,
        )
        # The earliest of all processes, including those that have ended: what they counted is still there.
        self.since = Gauge(
            "tallymark_counting_since_seconds", "When counting began", registry=_registry, multiprocess_mode="min"
        )
        self.since.set_to_current_time()
        self._updates = Counter(
            "tallymark_updates",
            "Updates by status and outcome; code is the HTTP status of a refusal",
            ("status", "outcome", "code"),
            registry=_registry,
        )
        self.merge_seconds = Histogram(
            "tallymark_merge_seconds",
            "Time that a progress request waited for the database: until its call, and for it",
            buckets=BUCKETS,
            registry=_registry,
        )
        self.group_size = Histogram(
            "tallymark_merge_group_size",
            "Updates that shared a call of the database; batches are not counted",
            buckets=(1, 2, 4, 8, 16, 32),
            registry=_registry,
        )
        self._errors = Counter(
            "tallymark_reported_errors", "Errors that crawlers reported, by type", ("type",), registry=_registry
        )
        self.late_updates = Counter(
            "tallymark_late_updates",
            "Updates accepted more than a minute after they happened: they come from a spool, or a clock is slow",
            registry=_registry,
        )
        self.rejected = Counter(
            "tallymark_turned_away",
            "Requests answered 503 because too many waited, or they waited too long",
            registry=_registry,
        )
        self.waiting = Gauge(
            "tallymark_waiting_requests",
            "Requests that wait for their turn, or to be merged",
            registry=_registry,
            multiprocess_mode="livesum",
        )
        self.connections = Gauge(
            "tallymark_pool_connections",
            "Database connections by pool and state: open, free, and requests waiting for one",
            ("pool", "state"),
            registry=_registry,
            multiprocess_mode="livesum",
        )
        self._error_types: set[str] = set()
        self._by_outcome: dict[tuple[str, str, str], Counter] = {}

    def count_update(self, status: str, outcome: str, code: str = "") -> None:
        """Count an update that was `accepted`, `duplicate` or `refused`.

        The status of a refused one is empty, because it may be any text; its code is the HTTP status of the refusal.
        """
        key = (status, outcome, code)
        counter = self._by_outcome.get(key)
        if counter is None:
            # There are few: of a status, only one that was accepted comes here.
            counter = self._by_outcome[key] = self._updates.labels(*key)
        counter.inc()

    def count_error(self, kind: str) -> None:
        """Count an error that a crawler reported, by its type; those past the limit are counted as `other`."""
        kind = kind[:_MAX_TYPE_LENGTH]
        if kind not in self._error_types:
            if len(self._error_types) >= _MAX_ERROR_TYPES:
                kind = "other"
            self._error_types.add(kind)
        self._errors.labels(kind).inc()


counters = Counters()


def collected() -> CollectorRegistry:
    """Return what all processes that count together have counted."""
    if DIRECTORY_VARIABLE not in os.environ:
        return _registry
    together = CollectorRegistry()
    together.register(_AllProcesses())
    return together


class _AllProcesses(Collector):
    """What the shared directory has. The library's own `collect` fails on an empty file: of a process that starts."""

    def collect(self) -> Iterable[Metric]:
        files = []
        for file in Path(os.environ[DIRECTORY_VARIABLE]).glob("*.db"):
            with suppress(FileNotFoundError):  # of a process that has ended
                if file.stat().st_size:
                    files.append(str(file))
        merged: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
        return merged


def add_counters(app: Flask, tokens: Tokens, reader: Reader) -> None:
    """Count an application's requests, and give it the route that shows the counts.

    Middleware that is added later is not part of what is measured.
    """
    # Flask's hooks before and after each request would cost three times as much.
    app.wsgi_app = CountedApp(app.wsgi_app)  # type: ignore[method-assign]

    @app.get("/api/internal/endpoint")
    @tokens.required_scope("read")
    def get_endpoint() -> Response:
        """Return the counts and latencies of all routes, and the state of the replica."""
        if caller().job_prefix:
            explanation = "This token is for some jobs only, but requests are counted for all jobs together."
            raise Problem(HTTPStatus.FORBIDDEN, "Forbidden", explanation=explanation)
        Query().check()
        return json_answer(json.dumps(_by_route() | reader.replica_status()).encode())


class CountedApp:
    """A WSGI application whose answers are counted when they begin."""

    def __init__(self, app: "WSGIApplication") -> None:
        """Wrap Flask's own application, or what is around it."""
        self._app = app
        self._observers: dict[tuple[str, str, str], Callable[[float], None]] = {}

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer a request, and count it when its status is known."""
        started = time.perf_counter()

        def counted(status: str, headers: list[tuple[str, str]], *rest: Any) -> Callable[[bytes], object]:  # noqa: ANN401
            # Flask removes the request from the environment when it has answered, so it is read here.
            asked = environ.get("werkzeug.request")  # missing if the request was rejected before Flask
            rule = None if asked is None else asked.url_rule
            key = (_UNKNOWN if rule is None else rule.rule, environ["REQUEST_METHOD"], status[0])
            observe = self._observers.get(key) or self._observer(key)
            observe(time.perf_counter() - started)
            return start_response(status, headers, *rest)

        return self._app(environ, counted)

    def _observer(self, key: tuple[str, str, str]) -> Callable[[float], None]:
        """Return what counts requests with this route, method and class of statuses."""
        route, method, status_class = key
        found: Callable[[float], None]
        if route in _STREAMS:
            found = _count_nothing
        elif method in _METHODS:
            found = counters.request_seconds.labels(route, method, f"{status_class}xx").observe
        else:
            # Not kept in `_observers`: there is no end of such methods.
            return counters.request_seconds.labels(route, "other", f"{status_class}xx").observe
        self._observers[key] = found
        return found


def _count_nothing(_took: float) -> None:
    """Count nothing."""


#: How many requests took no longer than each upper bound of the buckets.
_Buckets = dict[float, float]


def _by_route() -> dict[str, Any]:
    """Return the counts as JSON has them: the routes with the most requests first, percentiles in seconds.

    `groups` says how many updates were merged one by one or with others, and in how many calls of the database.
    """
    routes: dict[tuple[str, str], dict[str, _Buckets]] = {}
    since = time.time()
    groups = {"calls": 0.0, "updates": 0.0}
    for metric in collected().collect():
        for sample in metric.samples:
            if sample.name == "tallymark_counting_since_seconds":
                since = sample.value
            elif sample.name == "tallymark_merge_group_size_count":
                groups["calls"] = sample.value
            elif sample.name == "tallymark_merge_group_size_sum":
                groups["updates"] = sample.value
            elif sample.name == "tallymark_request_seconds_bucket":
                labels = sample.labels
                classes = routes.setdefault((labels["route"], labels["method"]), {})
                classes.setdefault(labels["status"], {})[float(labels["le"])] = sample.value
    rows = [_route_row(route, method, classes) for (route, method), classes in routes.items()]
    rows.sort(key=lambda row: (-row["requests"], row["route"], row["method"]))
    began = datetime.fromtimestamp(since, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"routes": rows, "groups": {name: int(value) for name, value in groups.items()}, "since": began}


def _route_row(route: str, method: str, classes: Mapping[str, _Buckets]) -> dict[str, Any]:
    bounds = sorted({bound for buckets in classes.values() for bound in buckets})
    counts = [sum(buckets[bound] for buckets in classes.values()) for bound in bounds]
    ended = {status: max(buckets.values()) for status, buckets in classes.items()}
    return {
        # As the OpenAPI document writes it.
        "route": re.sub(r"<(?:[^<>:]+:)?[^<>]+>", "{id}", route),
        "method": method,
        "requests": int(sum(ended.values())),
        "errors4xx": int(ended.get("4xx", 0)),
        "errors5xx": int(ended.get("5xx", 0)),
        **{name: percentile(bounds, counts, part) for name, part in _PERCENTILES.items()},
    }


def percentile(bounds: Sequence[float], counts: Sequence[float], part: float) -> float | None:
    """Return the value that a part of all (0 to 1) do not exceed; None if nothing was counted.

    `bounds` are the buckets' upper bounds, ascending, the last one infinite; `counts` says how many values are not
    larger than each. Values are taken to be spread evenly over their bucket. Beyond the last finite bound, that bound
    is returned.
    """
    rank = counts[-1] * part
    if not counts[-1]:
        return None
    edges = list(zip((0.0, *bounds), (0.0, *counts), strict=True))
    for (low, below), (high, up_to) in pairwise(edges):
        if up_to >= rank and up_to > below:
            return low if high == float("inf") else round(low + (high - low) * (rank - below) / (up_to - below), 6)
    return bounds[-2]
