"""What is logged at which level, in both formats, and what is never logged."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from tests.web.conftest import TOKEN

if TYPE_CHECKING:
    from tests.web.conftest import Web

#: Words that are only in an update.
SECRET = "canary-in-the-payload"


def report(web: "Web", status: str, number: int, **more: object) -> None:
    """Report on the job, with a word in it that must not be logged."""
    update = {
        "taskId": "job",
        "updateId": str(number),
        "status": status,
        "timestamp": "2025-01-06T19:15:30Z",
        "message": SECRET,
        "progress": {"cursor": SECRET},
        **more,
    }
    web.report(update, headers={"X-Request-Id": f"request-{number}"})


def live(web: "Web") -> None:
    """Let a job go through everything that has a log line."""
    web.register("job")
    report(web, "started", 1)
    report(web, "processing", 2, itemsByType={"issues": 5})
    report(web, "credential_expiry", 3)
    report(web, "processing", 4, itemsByType={"issues": SECRET})
    report(web, "processing", 5, timestamp="2999-01-01T00:00:00Z")
    report(web, "failed", 6, error={"type": "TimeoutError", "message": SECRET})
    report(web, "completed", 7, itemsByType={"issues": 7})
    web.call("GET", "/api/internal/jobs/job", token="wrong-token-canary")


def lines_of(web: "Web") -> list[dict[str, Any]]:
    """Read the log of a server that writes JSON."""
    return [json.loads(line) for line in web.log.read_text().splitlines() if line.startswith("{")]


@pytest.mark.parametrize("style", ["json", "console"])
@pytest.mark.parametrize("level", ["info", "warning", "error"])
def test_above_debug_neither_payloads_nor_tokens_are_logged(
    start_web: Callable[..., "Web"], db_url: str, style: str, level: str
) -> None:
    """In the whole output of the server."""
    web = start_web(db_url, TALLYMARK_LOG_LEVEL=level, TALLYMARK_LOG_FORMAT=style)
    live(web)
    web.stop()
    written = web.log.read_text()
    assert "job failed" in written
    for word in (SECRET, TOKEN, "wrong-token-canary"):
        assert word not in written


def test_each_line_says_its_level_the_request_and_the_job(start_web: Callable[..., "Web"], db_url: str) -> None:
    """Milestones are INFO, unusual events WARNING, failures ERROR."""
    web = start_web(db_url, TALLYMARK_LOG_FORMAT="json")
    live(web)
    web.stop()
    said = [(line["level"], line["message"], line.get("request"), line.get("job")) for line in lines_of(web)]
    assert said == [
        ("info", "job started", "request-1", "job"),
        ("warning", "credentials of a job: credential_expiry", "request-3", "job"),
        ("warning", "update refused", "request-4", "job"),
        ("warning", said[3][1], "request-5", "job"),
        ("error", "job failed", "request-6", "job"),
        ("info", "job completed", "request-7", "job"),
    ]
    assert said[3][1].startswith("update taken with a warning: ")
    by_request = {line["request"]: line for line in lines_of(web)}
    assert by_request["request-4"]["problems"] == ["itemsByType.issues"]
    assert by_request["request-7"]["counts"] == {"issues": 12}, "all that the job has counted"
    assert by_request["request-6"]["error"] == "TimeoutError"
    assert {"time", "level", "logger", "message"} <= set(by_request["request-1"])


def test_at_debug_each_update_is_logged_with_its_payload_and_no_token(
    start_web: Callable[..., "Web"], db_url: str
) -> None:
    """This shows what a crawler really sends."""
    web = start_web(db_url, TALLYMARK_LOG_LEVEL="debug", TALLYMARK_LOG_FORMAT="json")
    live(web)
    web.stop()
    received = [line for line in lines_of(web) if line["message"] == "update received"]
    assert [line["request"] for line in received] == [f"request-{number}" for number in (1, 2, 3, 5, 6, 7)]
    assert received[1]["payload"]["message"] == SECRET
    assert TOKEN not in web.log.read_text()


def test_a_crawler_that_does_something_unusual_all_the_time_does_not_fill_the_log(
    start_web: Callable[..., "Web"], db_url: str
) -> None:
    """It is logged once a minute; the metrics count every time."""
    web = start_web(db_url, TALLYMARK_LOG_FORMAT="json")
    web.register("job")
    for number in range(50):
        report(web, "processing", number, timestamp="2999-01-01T00:00:00Z")
        report(web, "processing", 1000 + number, itemsByType=7)
    web.stop()
    assert len(lines_of(web)) == 2
