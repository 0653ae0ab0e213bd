"""Traces: a span for each request, and in it one for each call of the database.

Only if OpenTelemetry's SDK is installed and its standard variables say where to send traces; otherwise nothing is
wrapped. `OTEL_TRACES_SAMPLER` and the other variables work as usual.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from multiprocessing.util import Finalize
from typing import TYPE_CHECKING, Any

from flask import Flask

from tallymark.functions.http import Statement
from tallymark.web.db.pool import Database

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

#: Traces are wanted if one of these is set.
_WANTED = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_NEEDED = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http.trace_exporter")
_SERVER_ERRORS = "5"


def add_traces(app: Flask, databases: Iterable[Database], job_of: Callable[[], str | None]) -> bool:
    """Trace an application's requests and its calls of databases, if that is wanted and possible; return whether.

    Middleware that is added later is not part of a request's span. `job_of` returns the job of the request at hand.
    """
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or not any(map(os.environ.get, _WANTED)):
        return False
    if not all(map(_is_installed, _NEEDED)):
        return False
    from opentelemetry.sdk.trace import TracerProvider

    tracer = _Provider(TracerProvider).tracer
    app.wsgi_app = _TracedApp(app.wsgi_app, tracer)  # type: ignore[method-assign]
    for database in databases:
        _trace_calls(database, tracer, job_of)
    return True


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


class _Provider:
    """Makes the exporter with the first request: its thread would not survive the fork of a worker."""

    def __init__(self, kind: Callable[..., Any]) -> None:
        self._kind = kind
        self._tracer: Any = None

    def tracer(self) -> Any:  # noqa: ANN401 - a library that need not be there
        if self._tracer is None:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace.export import BatchSpanProcessor

            named = Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME", "tallymark")})
            provider = self._kind(resource=named, shutdown_on_exit=False)
            provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
            # Sends the last spans. Unlike `atexit`, which the library uses, this runs in granian's workers.
            Finalize(None, provider.shutdown, exitpriority=0)
            self._tracer = provider.get_tracer("tallymark")
        return self._tracer


class _TracedApp:
    """A WSGI application whose requests are spans, which end when the answer begins."""

    def __init__(self, app: "WSGIApplication", tracer: Callable[[], Any]) -> None:
        self._app = app
        self._tracer = tracer

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        from opentelemetry.propagate import extract
        from opentelemetry.trace import SpanKind, StatusCode

        method = environ["REQUEST_METHOD"]
        with self._tracer().start_as_current_span(
            method, context=extract(_Headers(environ)), kind=SpanKind.SERVER
        ) as span:

            def seen(status: str, headers: list[tuple[str, str]], *rest: Any) -> Callable[[bytes], object]:  # noqa: ANN401
                asked = environ.get("werkzeug.request")
                rule = None if asked is None else asked.url_rule
                if rule is not None:
                    span.update_name(f"{method} {rule.rule}")
                    span.set_attribute("http.route", rule.rule)
                span.set_attribute("http.request.method", method)
                span.set_attribute("http.response.status_code", int(status[:3]))
                if status.startswith(_SERVER_ERRORS):
                    span.set_status(StatusCode.ERROR)
                return start_response(status, headers, *rest)

            return self._app(environ, seen)


class _Headers(Mapping[str, str]):
    """The trace headers of a request, with which a caller passes on its own trace."""

    def __init__(self, environ: "WSGIEnvironment") -> None:
        self._environ = environ

    def __getitem__(self, name: str) -> str:
        return str(self._environ["HTTP_" + name.upper().replace("-", "_")])

    def __iter__(self) -> Any:  # noqa: ANN401 - an iterator of names
        return (name for name in ("traceparent", "tracestate", "baggage") if name in self)

    def __contains__(self, name: object) -> bool:
        return "HTTP_" + str(name).upper().replace("-", "_") in self._environ

    def __len__(self) -> int:
        return len(list(iter(self)))


def _trace_calls(database: Database, tracer: Callable[[], Any], job_of: Callable[[], str | None]) -> None:
    rows = database.rows

    def traced(statement: Statement, *parameters: bytes | None) -> list[list[bytes | None]]:
        with tracer().start_as_current_span(statement.name.decode()) as span:
            span.set_attribute("db.system.name", "postgresql")
            if job := job_of():
                span.set_attribute("tallymark.job", job)
            return rows(statement, *parameters)

    database.rows = traced  # type: ignore[method-assign]
