"""How the endpoint does: requests and their latency, route by route, since counting began.

Several worker processes count together where `PROMETHEUS_MULTIPROC_DIR` names a directory that they share; `tallymark
serve` and `up` see to that. Without it each process counts for itself.
"""

import json
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from flask import Flask, Response
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from tallymark.web.auth.callers import caller
from tallymark.web.auth.tokens import Tokens
from tallymark.web.db.replica import Reader
from tallymark.web.http.answers import json_answer
from tallymark.web.http.problems import Problem
from tallymark.web.routes.health import replica_of
from tallymark.web.telemetry.meters import meters, registry

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

#: Where the library looks for the directory; it does so when it is imported.
DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
#: A client may send any word for a method; each that is told apart takes memory.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: A stream is open for as long as somebody looks at a page, which is no latency.
_STREAMS = frozenset({"/events"})
_UNKNOWN = "unknown"
_PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def add_measures(app: Flask, tokens: Tokens, reader: Reader) -> None:
    """Have an application count its requests, and give it the route that tells them.

    Args:
        app: The application; what is put around its `wsgi_app` later is not part of what is measured.
        tokens: Who may ask.
        reader: Where this process reads: how its replica does is told, too.
    """
    # Hooks before and after each request would cost three times as much.
    app.wsgi_app = MeasuredApp(app.wsgi_app)  # type: ignore[method-assign]

    @app.get("/api/internal/endpoint")
    @tokens.required_scope("read")
    def get_endpoint() -> Response:
        """Give the counts and latencies of all routes."""
        if caller().job_prefix:
            explanation = "This token is for some jobs only, and requests are counted for all of them together."
            raise Problem(HTTPStatus.FORBIDDEN, "Forbidden", explanation=explanation)
        return json_answer(json.dumps(measured() | replica_of(reader)).encode())


class MeasuredApp:
    """An application whose answers are counted. What an answer yields after its first word is not waited for."""

    def __init__(self, app: "WSGIApplication") -> None:
        """Put it around one.

        Args:
            app: Flask's own, which knows the route of a request while it answers.
        """
        self._app = app
        self._observers: dict[tuple[str, str, str], Callable[[float], None]] = {}

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer a request, and count it when its status is known."""
        started = time.perf_counter()

        def counted(status: str, headers: list[tuple[str, str]], *rest: Any) -> Callable[[bytes], object]:  # noqa: ANN401
            # Flask takes the request out of the environment when it has answered, so this is the time to ask.
            asked = environ.get("werkzeug.request")  # not there where the request was turned away before
            rule = None if asked is None else asked.url_rule
            key = (_UNKNOWN if rule is None else rule.rule, environ["REQUEST_METHOD"], status[0])
            observe = self._observers.get(key) or self._observer(key)
            observe(time.perf_counter() - started)
            return start_response(status, headers, *rest)

        return self._app(environ, counted)

    def _observer(self, key: tuple[str, str, str]) -> Callable[[float], None]:
        """Return what counts requests like this one."""
        route, method, status_class = key
        found: Callable[[float], None]
        if route in _STREAMS:
            found = _count_nothing
        elif method in _METHODS:
            found = meters.request_seconds.labels(route, method, f"{status_class}xx").observe
        else:
            return meters.request_seconds.labels(
                route, "other", f"{status_class}xx"
            ).observe  # kept nowhere: there is no end of them
        self._observers[key] = found
        return found


def _count_nothing(_took: float) -> None:
    """Count nothing."""


def measured() -> dict[str, Any]:
    """Return what was counted so far, by all processes that count together.

    Returns:
        `{"routes": [{"route", "method", "requests", "errors4xx", "errors5xx", "p50", "p95", "p99"}], "since"}`: the
        routes with the most requests first, percentiles in seconds, an instant in ISO 8601.
    """
    routes: dict[tuple[str, str], dict[str, _Counts]] = {}
    since = time.time()
    for metric in collected().collect():
        for sample in metric.samples:
            if sample.name == "tallymark_counting_since_seconds":
                since = sample.value
            elif sample.name == "tallymark_request_seconds_bucket":
                labels = sample.labels
                classes = routes.setdefault((labels["route"], labels["method"]), {})
                classes.setdefault(labels["status"], {})[float(labels["le"])] = sample.value
    told = [_told(route, method, classes) for (route, method), classes in routes.items()]
    told.sort(key=lambda route: (-route["requests"], route["route"], route["method"]))
    began = datetime.fromtimestamp(since, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"routes": told, "since": began}


#: For each upper bound how many requests took no longer, as the library has it.
_Counts = dict[float, float]


def collected() -> CollectorRegistry:
    """Return what was counted, by all processes that count together."""
    if DIRECTORY_VARIABLE not in os.environ:
        return registry
    together = CollectorRegistry()
    MultiProcessCollector(together)  # type: ignore[no-untyped-call]
    return together


def _told(route: str, method: str, classes: Mapping[str, _Counts]) -> dict[str, Any]:
    """Say of a route what people ask."""
    bounds = sorted({bound for counts in classes.values() for bound in counts})
    counts = [sum(of_class[bound] for of_class in classes.values()) for bound in bounds]
    ended = {status: max(of_class.values()) for status, of_class in classes.items()}
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
    """Find the value that a part of all do not exceed, taking those in a bucket to be spread evenly over it.

    Args:
        bounds: The buckets' upper bounds, rising, the last one infinite.
        counts: For each bound how many are no larger.
        part: 0 to 1.

    Returns:
        The value; the largest finite bound where it lies beyond that, None where nothing was counted.
    """
    rank = counts[-1] * part
    if not counts[-1]:
        return None
    edges = list(zip((0.0, *bounds), (0.0, *counts), strict=True))
    for (low, below), (high, up_to) in pairwise(edges):
        if up_to >= rank and up_to > below:
            return low if high == float("inf") else round(low + (high - low) * (rank - below) / (up_to - below), 6)
    return bounds[-2]
