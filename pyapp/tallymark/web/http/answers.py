"""Answers: JSON that PostgreSQL made, and every error as RFC 9457 problem details.

A problem has the extension members `error`, a short text that clients may rely on, and `details`, a list of what is
wrong with which field.
"""

import json
import logging
import random
import re
import secrets
import time
from collections.abc import Mapping
from http import HTTPStatus

from flask import Flask, Response, has_request_context, request
from werkzeug.exceptions import HTTPException

from tallymark.functions.errors import (
    LOCK_NOT_AVAILABLE,
    NO_CONNECTION,
    TOO_MANY_WAIT,
    Detail,
    TallymarkError,
    Unavailable,
)

_logger = logging.getLogger("tallymark.web.problems")

#: The range of Retry-After, which is random so that crawlers do not all come back at once.
_RETRY_SECONDS = (1, 5)
_REQUEST_ID_KEY = "tallymark.request"
_REQUEST_ID = re.compile(r"[\w.:+/=-]{1,128}", re.ASCII)


#: What the log says about a job that is held, and how often at most.
_HOLDER_HINT = "docs/diagnosing.md, under 'Who holds a job?', has the SQL that finds the transaction that holds it"
_HINT_SECONDS = 60


class _Hint:
    """A hint that is logged now and then."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._again_at = 0.0

    def log(self) -> None:
        """Log it, unless it was logged a short time ago."""
        now = time.monotonic()
        if now >= self._again_at:
            self._again_at = now + _HINT_SECONDS
            _logger.warning(self._text)


_holder_hint = _Hint(_HOLDER_HINT)


class Problem(Exception):  # noqa: N818 - a problem is what RFC 9457 calls it
    """An error that is found before the database is asked. `explanation` becomes the member `detail`."""

    def __init__(
        self,
        status: HTTPStatus,
        error: str,
        *,
        details: list[Detail] | None = None,
        explanation: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Without an explanation, `detail` is made of `details`."""
        super().__init__(error)
        self.status = status
        self.details = details or []
        self.explanation = explanation
        self.headers = headers or {}


def json_answer(body: bytes | None, status: int = 200) -> Response:
    """Answer with a JSON text as it is."""
    # No shared cache may keep it. Routes whose answers a browser may keep set the header themselves.
    return Response(body, status, {"Cache-Control": "private, no-store"}, content_type="application/json")


def add_handlers(app: Flask) -> None:
    """Answer every exception of an application as a problem."""
    app.register_error_handler(Problem, _answer_problem)
    app.register_error_handler(TallymarkError, _answer_database)
    app.register_error_handler(HTTPException, _answer_http)
    app.register_error_handler(Exception, _answer_defect)


def request_id() -> str:
    """Return the ID of this request for the log: its `X-Request-Id`, or else a new one, the same on each call."""
    environ = request.environ
    known: str | None = environ.get(_REQUEST_ID_KEY)
    if known is None:
        given = environ.get("HTTP_X_REQUEST_ID", "")
        known = environ[_REQUEST_ID_KEY] = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
    return known


def request_context() -> dict[str, str | None]:
    """Return the members of a log line that name the request at hand and its job; none outside a request."""
    return {"request": request_id(), "job": _job_id()} if has_request_context() else {}


def _answer_problem(problem: Problem) -> Response:
    sentences = "; ".join(f"{detail['field'] or 'the body'} {detail['problem']}" for detail in problem.details)
    body = {
        "type": "about:blank",
        "title": problem.status.phrase,
        "status": int(problem.status),
        "detail": problem.explanation or sentences or str(problem),
        "error": str(problem),
        "details": problem.details,
    }
    return Response(json.dumps(body), problem.status, problem.headers, content_type="application/problem+json")


def _answer_database(error: TallymarkError) -> Response:
    if isinstance(error, Unavailable):
        return _answer_unavailable(error)
    if error.http_status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _answer_defect(error)
    explanation = " ".join(filter(None, (error.explanation, error.hint)))
    return _answer_problem(
        Problem(HTTPStatus(error.http_status), str(error), details=error.details, explanation=explanation)
    )


def _answer_unavailable(error: Unavailable) -> Response:
    # The pool logs an outage once, and those turned away are counted: there may be thousands of either a second.
    level = logging.DEBUG if error.sqlstate in {NO_CONNECTION, TOO_MANY_WAIT} else logging.WARNING
    _logger.log(level, "503 %s sqlstate=%s %s", error, error.sqlstate, error.origin)
    if error.sqlstate == LOCK_NOT_AVAILABLE:
        _holder_hint.log()
    seconds = random.randint(*_RETRY_SECONDS)  # noqa: S311 - spreads load, keeps no secret
    return _answer_problem(
        Problem(
            HTTPStatus(error.http_status),
            str(error),
            explanation=error.explanation
            or "The request may be sent again: an update that was already recorded is counted only once.",
            headers={"Retry-After": str(seconds), "X-Request-Id": request_id()},
        )
    )


def _answer_http(error: HTTPException) -> Response:
    """Answer an error that Flask finds by itself: an unknown path, or a method that a path does not have."""
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    headers = {name: value for name, value in error.get_headers() if name not in {"Content-Type", "Content-Length"}}
    return _answer_problem(
        Problem(status, status.phrase.capitalize(), explanation=error.description or "", headers=headers)
    )


def _answer_defect(error: Exception) -> Response:
    sqlstate, origin = (error.sqlstate, error.origin) if isinstance(error, TallymarkError) else (None, "")
    _logger.error("500 %s %s sqlstate=%s %s", request.method, request.url_rule, sqlstate, origin, exc_info=error)
    reporting = request.url_rule is not None and request.url_rule.rule.endswith("/progress")
    return _answer_problem(
        Problem(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "Internal server error during progress update" if reporting else "Internal server error",
            explanation=f"The server has a defect. See its log for request {request_id()}.",
            headers={"X-Request-Id": request_id()},
        )
    )


def _job_id() -> str | None:
    """Return the job that a request is about, from its path or its body."""
    found = (request.view_args or {}).get("job_id")
    try:
        found = found or json.loads(request.environ["tallymark.body"])["taskId"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
    return str(found)[:255] if isinstance(found, str) else None
