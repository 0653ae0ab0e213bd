"""Registering jobs and reading them.

A job's id may have any character, a slash too. A server that decodes the path before we see it leaves no trace of which
slashes were part of the id, so `<id>/timeline` is read as the timeline of `<id>` first, and where there is no such job
as the job called `<id>/timeline`.
"""

from http import HTTPStatus
from urllib.parse import quote

from flask import Flask, Response, request
from werkzeug.routing import PathConverter

from tallymark.errors import JobNotFound
from tallymark.web.answers import json_answer
from tallymark.web.auth import Tokens
from tallymark.web.database import Database, Statement
from tallymark.web.problems import Problem
from tallymark.web.requests import read_json_body

RECEIVE_JOB = Statement(
    b"tallymark_receive_job",
    b"SELECT r ->> 'created', r ->> 'id', r - 'created' FROM tallymark.receive_job($1::jsonb) AS r",
    takes_json=True,
)
GET_JOB = Statement(b"tallymark_get_job", b"SELECT tallymark.get_job($1::text, $2::integer)")
TIMELINE_PAGE = Statement(
    b"tallymark_timeline_page",
    b"SELECT tallymark.timeline_page($1::text, $2::bigint, $3::integer, $4::text)",
)

#: The largest of PostgreSQL's types integer and bigint: a number past it means as many as there are, too.
_INTEGER = 2**31 - 1
_BIGINT = 2**63 - 1
#: Python takes its time to read a longer number, and past 4,300 digits refuses.
_MOST_DIGITS = 100


class _JobId(PathConverter):
    """A job's id in a path: any characters at all, at least one."""

    regex = r"[\s\S]+?"
    part_isolating = False


def add_jobs(app: Flask, tokens: Tokens, database: Database, reader: Database, most_bytes: int) -> None:
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
    @tokens.required
    def create_job() -> Response:
        """Register a job."""
        body = request.environ["tallymark.body"] = read_json_body(request.environ, most_bytes)
        created, job_id, job = database.call(RECEIVE_JOB, body)
        answer = json_answer(job, HTTPStatus.CREATED if created == b"true" else HTTPStatus.OK)
        answer.headers["Location"] = f"/api/internal/jobs/{quote(job_id or b'', safe='')}"
        return answer

    @app.get("/api/internal/jobs/<job_id:job_id>")
    @tokens.required
    def get_job(job_id: str) -> Response:
        """Give a job."""
        [job] = reader.call(GET_JOB, _id(job_id), _number("timelineLimit", _INTEGER))
        return json_answer(job)

    @app.get("/api/internal/jobs/<job_id:job_id>/timeline")
    @tokens.required
    def get_timeline(job_id: str) -> Response:
        """Give a page of a job's timeline."""
        try:
            [page] = reader.call(
                TIMELINE_PAGE, _id(job_id), _number("after", _BIGINT), _number("limit", _INTEGER), _text("event")
            )
        except JobNotFound as unknown:
            try:
                [page] = reader.call(GET_JOB, _id(f"{job_id}/timeline"), _number("timelineLimit", _INTEGER))
            except JobNotFound:
                raise unknown from None
        return json_answer(page)


def _id(job_id: str) -> bytes:
    """Return a job's id from the path; one with the character 0 is nobody's."""
    if "\0" in job_id:
        raise JobNotFound("Job not found", explanation="No job's id has the character 0.")
    return job_id.encode()


def _number(name: str, largest: int) -> bytes | None:
    text = request.args.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise _bad_query(name, "must be a whole number, 0 or more")
    return b"%d" % min(int(text), largest)


def _text(name: str) -> bytes | None:
    text = request.args.get(name)
    if text is not None and "\0" in text:
        raise _bad_query(name, "must not have the character 0")
    return None if text is None else text.encode()


def _bad_query(name: str, problem: str) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, "Invalid query", details=[{"field": name, "problem": problem}])
