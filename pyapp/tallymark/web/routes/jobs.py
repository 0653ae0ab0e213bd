"""Registering jobs, reading one job, and sending a command to its crawler.

A job's id may contain any character, including slashes. A server decodes the path before we see it, so we cannot tell
which slashes belong to the id. `<id>/timeline` is therefore the timeline of `<id>`, or, if there is no such job, the
job called `<id>/timeline`; and likewise for all other parts of a job.
"""

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import quote

from flask import Flask, Request, Response, request
from werkzeug.routing import PathConverter

from tallymark.functions import http
from tallymark.functions.errors import InvalidUpdate, JobNotFound, TallymarkError
from tallymark.web.auth.tokens import Tokens, caller
from tallymark.web.db.patience import Patience, job_of
from tallymark.web.db.pool import Row
from tallymark.web.db.replica import CanCall
from tallymark.web.http.admission import AdmissionQueue
from tallymark.web.http.answers import Problem, json_answer
from tallymark.web.http.bodies import Bodies
from tallymark.web.http.requests import BIGINT, Query
from tallymark.web.http.surrogates import mended
from tallymark.web.routes.lists import never_reported

#: The form of the tags of `read_job`; others that a client sends are ignored.
_TAG = re.compile(r"[0-9a-f]{1,16}-[0-9]{1,19}-[0-9a-f]{1,16}", re.ASCII)


class _Part(NamedTuple):
    """A part of a job that has its own path: a statement, and its parameters after $1, the id."""

    statement: http.Statement
    parameters: Callable[[Query], tuple[bytes | None, ...]]


def _timeline(query: Query) -> tuple[bytes | None, ...]:
    after, _ = _places(query)
    return after, query.number("limit"), query.texts("event")


def _timeline_before(query: Query) -> tuple[bytes | None, ...]:
    _, before = _places(query)
    return before, query.number("limit"), query.texts("event")


def _places(query: Query) -> tuple[bytes | None, bytes | None]:
    """Return `after` and `before`. Only one has a meaning, but both are parameters, and a wrong one is named."""
    # An empty `before` is the end of the timeline.
    return query.number("after", BIGINT), query.number("before", BIGINT, may_be_empty=True)


_PARTS = {
    "timeline": _Part(http.TIMELINE_PAGE, _timeline),
    "history": _Part(
        http.HISTORY_PAGE,
        lambda query: (query.text("field"), query.number("after", BIGINT), query.number("limit")),
    ),
    "areas": _Part(
        http.JOB_AREAS_PAGE,
        lambda query: (query.text("root"), query.number("depth"), query.number("limit"), caller().sql_prefix),
    ),
    "rate": _Part(http.RATE_PAGE, lambda query: (query.number("window"),)),
    "stages": _Part(http.STAGES_PAGE, lambda _query: ()),
    "liveness": _Part(http.JOB_LIVENESS, lambda _query: (never_reported(),)),
    "family": _Part(http.FAMILY, lambda query: (query.number("limit"), query.cursor("cursor"), caller().sql_prefix)),
    "series": _Part(http.JOB_SERIES, lambda query: (query.text("with"), query.number("limit"), caller().sql_prefix)),
    "verify": _Part(http.VERIFY_PAGE, lambda _query: ()),
    "diagnosis": _Part(http.DIAGNOSE_JOB, lambda _query: ()),
}


#: The timeline backwards, if `before` is given.
_TIMELINE_BEFORE = _Part(http.TIMELINE_BEFORE_PAGE, _timeline_before)


class _JobId(PathConverter):
    """A job's id in a path: one or more characters of any kind."""

    regex = r"[\s\S]+?"
    part_isolating = False


def add_jobs(
    app: Flask,
    tokens: Tokens,
    writer: CanCall,
    patience: Patience,
    reader: CanCall,
    queue: AdmissionQueue,
    bodies: Bodies,
) -> None:
    """Give an application the routes of single jobs."""
    app.url_map.converters["job_id"] = _JobId

    def read_body() -> bytes:
        with queue.outside():  # it may wait for the client
            body = bodies.read_json(request.environ)
        request.environ["tallymark.body"] = body
        return body

    def register(body: bytes) -> Row:
        # It waits for other registrations only, not for a job's row. No job has a zero byte in its id.
        return patience.call(http.RECEIVE_JOB, body, caller().sql_prefix, job=b"\0" + job_of(body))

    @app.post("/api/internal/jobs")
    @tokens.required_scope("write")
    def create_job() -> Response:
        """Register a job."""
        body = read_body()
        with queue.outside():
            created, job_id, job = _with_whole_text(register, body)
        answer = json_answer(job, HTTPStatus.CREATED if created == b"true" else HTTPStatus.OK)
        answer.headers["Location"] = f"/api/internal/jobs/{quote(job_id or b'', safe='')}"
        return answer

    @app.post("/api/internal/jobs/<job_id:job_id>/command")
    @tokens.required_scope("admin")
    def request_command(job_id: str) -> Response:
        """Ask a job's crawler to pause, resume or cancel. The command waits on the job until the crawler obeys it."""
        body = read_body()
        who = caller()
        who.check_job(job_id)
        key = _job_key(job_id)

        def command(body: bytes) -> Row:
            return patience.call(http.RECEIVE_COMMAND, body, key, who.name.encode() or None, job=key)

        with queue.outside():
            [job] = _with_whole_text(command, body)
        return json_answer(job)

    @app.post("/api/internal/jobs/<job_id:job_id>/unseen")
    @tokens.required_scope("write")
    def unseen_items(job_id: str) -> Response:
        """Return which items a job has not counted yet by their keys."""
        body = read_body()
        caller().check_job(job_id)
        with queue.outside():
            # Half a surrogate pair is refused and not mended: two keys could become the same.
            [answer] = writer.call(http.RECEIVE_UNSEEN, body, _job_key(job_id))
        return json_answer(answer)

    @app.post("/api/internal/jobs/<job_id:job_id>/alive")
    @tokens.required_scope("write")
    def note_alive(job_id: str) -> Response:
        """Note that a job's crawler is alive, and answer with the command that waits for it."""
        body = read_body() if _has_body(request) else b"{}"
        caller().check_job(job_id)
        key = _job_key(job_id)
        with queue.outside():
            # It waits for no job, so it needs no place among the calls that do.
            [answer] = _with_whole_text(lambda body: writer.call(http.RECEIVE_ALIVE, body, key), body)
        return json_answer(answer)

    @app.get("/api/internal/jobs/<job_id:job_id>")
    @tokens.required_scope("read")
    def get_job(job_id: str) -> Response:
        """Return a job."""
        caller().check_job(job_id)
        return _answer_job(reader, job_id)

    for name, part in _PARTS.items():
        _add_part(app, tokens, reader, name, part)


def _has_body(asked: Request) -> bool:
    """Return whether a request has a body. A chunked one may turn out to be empty, which is refused as no JSON."""
    return bool(asked.content_length) or "Transfer-Encoding" in asked.headers


def _with_whole_text(call: Callable[[bytes], Row], body: bytes) -> Row:
    """Call with a body, and once more where half a surrogate pair in it was refused and could be replaced."""
    try:
        return call(body)
    except InvalidUpdate as error:
        whole = mended(body, error.sqlstate)
        if whole is None:
            raise
        return call(whole)


def _add_part(app: Flask, tokens: Tokens, reader: CanCall, name: str, part: _Part) -> None:
    @app.get(f"/api/internal/jobs/<job_id:job_id>/{name}", endpoint=f"get_{name}")
    @tokens.required_scope("read")
    def get_part(job_id: str) -> Response:
        """Return this part of a job."""
        who, whole = caller(), f"{job_id}/{name}"
        if whole.startswith(who.job_prefix) and not job_id.startswith(who.job_prefix):
            return _answer_job(reader, whole)
        who.check_job(job_id)
        query = Query()
        asked = _TIMELINE_BEFORE if name == "timeline" and "before" in request.args else part
        parameters = asked.parameters(query)
        try:
            query.check()
            [found] = reader.call(asked.statement, _job_key(job_id), *parameters)
        except JobNotFound as unknown:
            return _answer_other(reader, whole, unknown)
        except Problem as wrong:
            # A job has other parameters, and this may be its id.
            if not _is_known(reader, job_id):
                return _answer_other(reader, whole, wrong)
            raise
        return json_answer(found)


def _answer_other(reader: CanCall, job_id: str, otherwise: Exception) -> Response:
    """Answer with the job whose id looks like the part of another one; raise `otherwise` if there is no such job."""
    try:
        return _answer_job(reader, job_id)
    except Problem:
        if _is_known(reader, job_id):
            raise
    except JobNotFound:
        pass
    except TallymarkError as error:
        if not any(problem["field"] == "taskId" for problem in error.details):
            raise
        # No job can have this id.
    raise otherwise from None


def _is_known(reader: CanCall, job_id: str) -> bool:
    try:
        reader.call(http.READ_JOB, _job_key(job_id), b"0", b"{}")
    except JobNotFound:
        return False
    except TallymarkError as error:
        if any(problem["field"] == "taskId" for problem in error.details):
            return False
        raise
    return True


def _answer_job(reader: CanCall, job_id: str) -> Response:
    """Answer with a job, or 304 if the client has it."""
    query = Query()
    at, limit = query.number("at", BIGINT), query.number("timelineLimit")
    query.check()
    if at is not None:
        [job] = reader.call(http.JOB_AT, _job_key(job_id), at, limit)
        return json_answer(job)
    tag, job = reader.call(http.READ_JOB, _job_key(job_id), limit, _known_tags())
    answer = json_answer(job) if job is not None else Response(status=HTTPStatus.NOT_MODIFIED)
    answer.set_etag((tag or b"").decode())
    answer.headers["Cache-Control"] = "private, no-cache"  # the client may keep it, but asks each time
    return answer


def _known_tags() -> bytes:
    """Return the tags of If-None-Match as an array of PostgreSQL's."""
    known = request.if_none_match
    if known.star_tag:
        return b"{*}"
    # RFC 9110 compares them weakly in this header. Tags of this form need no quotes in an array.
    tags = (tag for tag in known.as_set(include_weak=True) if tag and _TAG.fullmatch(tag))
    return b"{%s}" % ",".join(tags).encode()


def _job_key(job_id: str) -> bytes:
    """Return an id from a path as a parameter. Raises JobNotFound if no job can have it."""
    if "\0" in job_id:
        raise JobNotFound("Job not found", explanation="The id of a job cannot contain the character U+0000.")
    return job_id.encode()
