"""The answers of the wire protocol, word for word: a test for each row of its table."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

if TYPE_CHECKING:
    from tests.web.conftest import Answer, Web

Update = Callable[..., dict[str, object]]

PROGRESS = "/api/internal/jobs/progress"


def _is_problem(answer: "Answer", status: int, error: str) -> dict[str, Any]:
    """Check an error answer against RFC 9457 and the wire protocol; return its body."""
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json
    assert body["error"] == error
    assert body["status"] == status
    assert body["type"] == "about:blank"
    assert body["title"]
    assert body["detail"]
    assert isinstance(body["details"], list)
    return body


def test_an_accepted_update_is_acknowledged_with_its_number(web: "Web", job: str, update: Update) -> None:
    """200, with the original system's members and the new ones."""
    answer = web.report(update(job, processedItems=7))
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["status"] == "received"
    assert answer.json["message"] == f"Progress update acknowledged for task {job}"
    assert (answer.json["seq"], answer.json["duplicate"], answer.json["warnings"]) == (2, False, [])


def test_the_same_update_again_is_a_duplicate_with_the_first_number(web: "Web", job: str, update: Update) -> None:
    """200, and nothing changes."""
    first = web.report(update(job, processedItems=7)).json
    before = web.state(job)
    again = web.report(update(job, processedItems=7)).json
    assert (again["seq"], again["duplicate"]) == (first["seq"], True)
    assert web.state(job) == before


def test_a_wrong_token_is_unauthorized(web: "Web", job: str, update: Update) -> None:
    """401, and how to authenticate."""
    answer = web.report(update(job), token="wrong")
    _is_problem(answer, 401, "Unauthorized")
    assert answer.json["detail"] == "There is no such token, or it has expired."
    assert answer.headers["www-authenticate"] == "Bearer"


def test_no_token_is_unauthorized(web: "Web", job: str, update: Update) -> None:
    """401, before anything else is checked."""
    answer = web.report("not even JSON", token=None, headers={"Content-Type": "text/plain"})
    _is_problem(answer, 401, "Unauthorized")
    answer = web.report(update(job), token=None)
    _is_problem(answer, 401, "Unauthorized")
    assert answer.json["detail"] == "Send `Authorization: Bearer <token>`."


def test_without_a_configured_token_the_endpoint_is_disabled(
    start_web: Callable[..., "Web"], db_url: str, update: Update
) -> None:
    """503, whatever token the caller sends."""
    web = start_web(db_url, CRAWLER_API_TOKEN="")
    _is_problem(web.report(update("x")), 503, "Endpoint disabled due to missing configuration")
    _is_problem(web.report(update("x"), token=None), 503, "Endpoint disabled due to missing configuration")
    _is_problem(web.report(update("x"), token=""), 503, "Endpoint disabled due to missing configuration")


@pytest.mark.parametrize("body", ["", "{", "hello", '"text"', "12", "null", "true"])
def test_a_body_that_is_no_object_is_invalid(web: "Web", body: str) -> None:
    """400, with the reason."""
    problem = _is_problem(web.report(body), 400, "Invalid request body")
    assert [detail["field"] for detail in problem["details"]] == [""]


@pytest.mark.parametrize("missing", [["taskId"], ["status"], ["timestamp"], ["status", "timestamp"]])
def test_missing_fields_are_named(web: "Web", job: str, update: Update, missing: list[str]) -> None:
    """400, always with the same message; the details list the missing fields."""
    body = {name: value for name, value in update(job).items() if name not in missing}
    problem = _is_problem(web.report(body), 400, "Missing required fields: taskId, status, timestamp")
    assert [detail["field"] for detail in problem["details"]] == missing


def test_null_counts_as_missing(web: "Web", job: str, update: Update) -> None:
    """400, as if the field were absent."""
    problem = _is_problem(
        web.report(update(job, status=None)), 400, "Missing required fields: taskId, status, timestamp"
    )
    assert [detail["field"] for detail in problem["details"]] == ["status"]


def test_an_unknown_status_is_named(web: "Web", job: str, update: Update) -> None:
    """400, with the status in the message."""
    _is_problem(web.report(update(job, status="sleeping")), 400, "Invalid status: sleeping")


def test_every_problem_of_a_payload_is_named_at_once(web: "Web", job: str, update: Update) -> None:
    """400, with the path of each bad field."""
    answer = web.report(update(job, itemsByType={"issues": -1}, stage=5))
    problem = _is_problem(answer, 400, "Invalid progress payload")
    assert {detail["field"] for detail in problem["details"]} == {"itemsByType.issues", "stage"}
    assert all(detail["problem"] for detail in problem["details"])


def test_an_unknown_job_is_not_found(web: "Web", update: Update) -> None:
    """404; jobs are registered before they are reported on."""
    _is_problem(web.report(update("nobody's")), 404, "Job not found")


def test_a_body_over_the_limit_is_refused(web: "Web", job: str) -> None:
    """413, and the client can read it although it sends all of its 10 MB first."""
    before = web.state(job)
    _is_problem(web.report(b"x" * 10_000_000), 413, "Request body too large")
    assert web.state(job) == before


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": ""},
    ],
)
def test_another_content_type_is_refused(web: "Web", job: str, update: Update, headers: dict[str, str]) -> None:
    """415, and what would be accepted."""
    answer = web.report(update(job), headers=headers)
    _is_problem(answer, 415, "Unsupported media type")
    assert answer.headers["accept"] == "application/json"


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "zstd", ""])
def test_another_encoding_than_gzip_is_refused(web: "Web", job: str, update: Update, encoding: str) -> None:
    """415, and what would be accepted."""
    answer = web.report(update(job), headers={"Content-Encoding": encoding})
    _is_problem(answer, 415, "Unsupported media type")
    assert answer.headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.crawler+json"]
)
def test_json_by_any_of_its_names_is_taken(web: "Web", job: str, update: Update, content_type: str) -> None:
    """Parameters, letter case and the +json suffix make no difference."""
    assert web.report(update(job), headers={"Content-Type": content_type}).status == 200


def test_a_job_that_is_locked_for_too_long_is_busy(
    start_web: Callable[..., "Web"], db_url: str, update: Update
) -> None:
    """503 with Retry-After after the lock timeout; nothing changes."""
    web = start_web(db_url, TALLYMARK_LOCK_TIMEOUT="100")
    web.register("held")
    with psycopg.connect(db_url) as other:
        other.execute("SELECT FROM tallymark.job WHERE id = 'held' FOR UPDATE")
        answer = web.report(update("held"))
    _is_problem(answer, 503, "Database busy")
    assert int(answer.headers["retry-after"]) >= 1
    assert web.report(update("held")).json["duplicate"] is False


@pytest.mark.parametrize("bad", ["1 / 0 > 0", "('x' || v)::int > 0"])
def test_a_defect_is_an_internal_error_that_the_log_tells_of(
    start_web: Callable[..., "Web"], db_url: str, db: psycopg.Connection[Any], update: Update, bad: str
) -> None:
    """500, and the caller is not blamed. The log has the request's id and job, and nothing of the payload or token."""
    db.execute(
        "CREATE OR REPLACE FUNCTION tallymark.receive_progress(body jsonb, idempotency_key text DEFAULT NULL,"
        " job_prefix text DEFAULT NULL, register boolean DEFAULT false) RETURNS jsonb LANGUAGE plpgsql"
        " AS $$ DECLARE v text := body ->> 'message';"
        f" BEGIN IF {bad} THEN NULL; END IF; RETURN NULL; END $$"
    )
    web = start_web(db_url, TALLYMARK_LOG_LEVEL="info")
    answer = web.report(update("a job", message="a secret"), headers={"X-Request-Id": "request-7"})
    _is_problem(answer, 500, "Internal server error during progress update")
    assert answer.headers["x-request-id"] == "request-7"
    log = web.log.read_text()
    assert "request-7" in log
    assert "a job" in log
    assert "receive_progress" in log
    assert "secret" not in log
    assert "crawler-token" not in log


def test_an_unknown_path_is_a_problem_too(web: "Web") -> None:
    """404 in the same form as all others."""
    _is_problem(web.call("GET", "/api/internal/nothing"), 404, "Not found")


def test_a_method_that_a_path_does_not_have_is_a_problem_too(web: "Web") -> None:
    """405, and the methods that the path has."""
    answer = web.call("DELETE", PROGRESS)
    _is_problem(answer, 405, "Method not allowed")
    assert "POST" in answer.headers["allow"]
