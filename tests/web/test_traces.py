"""Traces, received by a real OTLP server over HTTP."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tests.web.watching import wait_until

if TYPE_CHECKING:
    from tests.web.conftest import Web

TRACE = "0af7651916cd43dd8448eb211c80319c"


class Collector:
    """Receives spans.

    Attributes:
        url: Where.
        spans: What came.
    """

    def __init__(self) -> None:
        self.spans: list[Any] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    import gzip

                    body = gzip.decompress(body)
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    for scope in resource.scope_spans:
                        collector.spans.extend(scope.spans)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop it."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A server that receives spans."""
    made = Collector()
    yield made
    made.close()


def attributes(span: Any) -> dict[str, Any]:  # noqa: ANN401 - protobuf's
    """Return the attributes of a span."""
    return {pair.key: pair.value.string_value or pair.value.int_value for pair in span.attributes}


def test_a_request_and_its_call_of_the_database_are_spans(
    start_web: Callable[..., "Web"], db_url: str, collector: Collector
) -> None:
    """Part of the caller's trace, with route, status and job."""
    web = start_web(db_url, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_BSP_SCHEDULE_DELAY="100")
    web.register("job")
    update = {"taskId": "job", "status": "processing", "timestamp": "2025-01-06T19:15:30Z"}
    assert web.report(update, headers={"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}).status == 200
    route = "POST /api/internal/jobs/progress"
    wait_until(lambda: any(span.name == route for span in collector.spans))
    request = next(span for span in collector.spans if span.name == route)
    wait_until(lambda: any(span.parent_span_id == request.span_id for span in collector.spans))
    call = next(span for span in collector.spans if span.parent_span_id == request.span_id)
    assert request.trace_id.hex() == call.trace_id.hex() == TRACE
    assert attributes(request)["http.response.status_code"] == 200
    assert call.name == "tallymark_receive_progress"
    assert attributes(call)["tallymark.job"] == "job"


def test_where_nobody_wants_traces_none_are_made(db_url: str) -> None:
    """The application works as without the library."""
    from tallymark.settings import Settings
    from tallymark.web import create_app

    assert "Traced" not in type(create_app(Settings(database_url=db_url)).wsgi_app).__name__


def test_the_last_spans_are_sent(start_web: Callable[..., "Web"], db_url: str, collector: Collector) -> None:
    """Those that wait for their batch when the server stops."""
    web = start_web(db_url, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_BSP_SCHEDULE_DELAY="600000")
    web.register("job")
    assert collector.spans == []
    web.stop()
    assert "POST /api/internal/jobs" in {span.name for span in collector.spans}
