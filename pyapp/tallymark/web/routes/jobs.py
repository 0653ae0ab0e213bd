"""Registering jobs and reading one of them.

A job's id may have any character, a slash too. A server that decodes the path before we see it leaves no trace of which
slashes were part of the id, so `<id>/timeline` is read as the timeline of `<id>` first, and where there is no such job
as the job called `<id>/timeline`; and so with all that can be read of a job.
"""

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import quote

from flask import Flask, Response, request
from werkzeug.routing import PathConverter

from tallymark.functions.errors import JobNotFound, TallymarkError
from tallymark.web.auth.tokens import Tokens, caller
from tallymark.web.db.pool import Database, Statement
from tallymark.web.db.replica import CanCall
from tallymark.web.http.answers import json_answer
from tallymark.web.http.requests import BIGINT, Query, read_json_body
from tallymark.web.routes.lists import add_reading

RECEIVE_JOB = Statement(
    b"tallymark_receive_job",
    b"SELECT r ->> 'created', r ->> 'id', r - 'created' FROM tallymark.receive_job($1::jsonb, $2::text) AS r",
    takes_json=True,
)
READ_JOB = Statement(
    b"tallymark_read_job", b"SELECT tag, job FROM tallymark.read_job($1::text, $2::integer, $3::text[])"
)
JOB_AT = Statement(b"tallymark_job_at", b"SELECT tallymark.job_at($1::text, $2::bigint, $3::integer)")

#: What `read_job` makes for a tag; others that a client sends are none of ours.
_TAG = re.compile(r"[0-9a-f]{1,16}-[0-9]{1,19}", re.ASCII)


class _Part(NamedTuple):
    """Something that can be read of a job under a path of its own.

    Attributes:
        statement: What to run; $1 is the id.
        parameters: Takes the others from the query.
    """

    statement: Statement
    parameters: Callable[[Query], tuple[bytes | None, ...]]


_PARTS = {
    "timeline": _Part(
        Statement(
            b"tallymark_timeline_page",
            b"SELECT tallymark.timeline_page($1::text, $2::bigint, $3::integer, event_kinds => $4::text[])",
        ),
        lambda query: (query.number("after", BIGINT), query.number("limit"), query.texts("event")),
    ),
    "history": _Part(
        Statement(
            b"tallymark_history_page",
            b"SELECT tallymark.history_page($1::text, $2::text, $3::bigint, $4::integer)",
        ),
        lambda query: (query.text("field"), query.number("after", BIGINT), query.number("limit")),
    ),
    "areas": _Part(
        Statement(
            b"tallymark_job_areas_page",
            b"SELECT tallymark.areas_page($2::text, $3::integer, $4::integer, $5::text, $1::text)",
        ),
        lambda query: (query.text("root"), query.number("depth"), query.number("limit"), caller().sql_prefix),
    ),
    "rate": _Part(
        Statement(b"tallymark_rate_page", b"SELECT tallymark.rate_page($1::text, make_interval(secs => $2::integer))"),
        lambda query: (query.number("window"),),
    ),
    "stages": _Part(
        Statement(b"tallymark_stages_page", b"SELECT tallymark.stages_page($1::text)"),
        lambda _query: (),
    ),
    "verify": _Part(
        Statement(b"tallymark_verify_page", b"SELECT tallymark.verify_page($1::text)"),
        lambda _query: (),
    ),
    "diagnosis": _Part(
        Statement(b"tallymark_diagnose_job", b"SELECT tallymark.diagnose_job($1::text)"),
        lambda _query: (),
    ),
}

#: The timeline where `before` is given: from there backwards.
_TIMELINE_BEFORE = _Part(
    Statement(
        b"tallymark_timeline_before_page",
        b"SELECT tallymark.timeline_before_page($1::text, $2::bigint, $3::integer, $4::text[])",
    ),
    lambda query: (
        # An empty one is the end.
        query.number("before", BIGINT) if request.args.get("before") else None,
        *(query.number("limit"), query.texts("event")),
    ),
)


class _JobId(PathConverter):
    """A job's id in a path: any characters at all, at least one."""

    regex = r"[\s\S]+?"
    part_isolating = False


def add_jobs(app: Flask, tokens: Tokens, database: Database, reader: CanCall, most_bytes: int) -> None:
    """Give an application the routes of jobs.

    Args:
        app: The application.
        tokens: Who may call.
        database: Where the jobs are.
        reader: Where to read them.
        most_bytes: The largest body that is taken.
    """
    app.url_map.converters["job_id"] = _JobId

    @app.post("/api/internal/jobs")
    @tokens.required_scope("write")
    def create_job() -> Response:
        """Register a job."""
        body = request.environ["tallymark.body"] = read_json_body(request.environ, most_bytes)
        created, job_id, job = database.call(RECEIVE_JOB, body, caller().sql_prefix)
        answer = json_answer(job, HTTPStatus.CREATED if created == b"true" else HTTPStatus.OK)
        answer.headers["Location"] = f"/api/internal/jobs/{quote(job_id or b'', safe='')}"
        return answer

    @app.get("/api/internal/jobs/<job_id:job_id>")
    @tokens.required_scope("read")
    def get_job(job_id: str) -> Response:
        """Give a job."""
        caller().check_job(job_id)
        return _give_job(reader, job_id)

    def add_part(name: str, part: _Part) -> None:
        @app.get(f"/api/internal/jobs/<job_id:job_id>/{name}", endpoint=f"get_{name}")
        @tokens.required_scope("read")
        def get_part(job_id: str) -> Response:
            """Give what can be read of a job under this name."""
            who, whole = caller(), f"{job_id}/{name}"
            if whole.startswith(who.job_prefix) and not job_id.startswith(who.job_prefix):
                return _give_job(reader, whole)
            who.check_job(job_id)
            query = Query()
            asked = _TIMELINE_BEFORE if name == "timeline" and "before" in request.args else part
            parameters = asked.parameters(query)
            query.check()
            try:
                [found] = reader.call(asked.statement, job_key(job_id), *parameters)
            except JobNotFound as unknown:
                try:
                    return _give_job(reader, whole)
                except TallymarkError as error:
                    if isinstance(error, JobNotFound) or any(problem["field"] == "taskId" for problem in error.details):
                        raise unknown from None  # there is no such job either, or it cannot be one's id
                    raise
            return json_answer(found)

    for name, part in _PARTS.items():
        add_part(name, part)
    add_reading(app, tokens, reader)


def _give_job(reader: CanCall, job_id: str) -> Response:
    """Answer with a job, or that the client has it already."""
    query = Query()
    at, limit = query.number("at", BIGINT), query.number("timelineLimit")
    query.check()
    if at is not None:
        [job] = reader.call(JOB_AT, job_key(job_id), at, limit)
        return json_answer(job)
    tag, job = reader.call(READ_JOB, job_key(job_id), limit, _known_tags())
    answer = json_answer(job) if job is not None else Response(status=HTTPStatus.NOT_MODIFIED)
    answer.set_etag((tag or b"").decode())
    answer.headers["Cache-Control"] = "private, no-cache"  # to be kept, and asked about each time
    return answer


def _known_tags() -> bytes:
    """Return the tags of If-None-Match as an array of PostgreSQL's."""
    known = request.if_none_match
    if known.star_tag:
        return b"{*}"
    # Compared weakly, as RFC 9110 has it for this header. Ours need no quotes in an array.
    tags = (tag for tag in known.as_set(include_weak=True) if tag and _TAG.fullmatch(tag))
    return b"{%s}" % ",".join(tags).encode()


def job_key(job_id: str) -> bytes:
    """Make of a job's id in a path what the database takes.

    Args:
        job_id: The id.

    Returns:
        It, in UTF-8.

    Raises:
        JobNotFound: It has the character 0, and so is nobody's.
    """
    if "\0" in job_id:
        raise JobNotFound("Job not found", explanation="No job's id has the character 0.")
    return job_id.encode()
