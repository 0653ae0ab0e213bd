"""Reading across jobs: lists and counts of them, their areas, errors, rates, and what the database says of itself."""

from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple

from flask import Flask, Response

from tallymark.functions import http
from tallymark.web.auth.callers import Caller, caller
from tallymark.web.auth.tokens import Tokens
from tallymark.web.db.replica import CanCall
from tallymark.web.http.answers import json_answer
from tallymark.web.http.problems import Problem
from tallymark.web.http.query import Query


class _Page(NamedTuple):
    """Something that can be read across jobs.

    Attributes:
        statement: What to run; $1 is how the ids begin of the jobs that the caller may see, null for all.
        parameters: Takes the others from the query.
        for_all_jobs: It is of no job, so that only those may read it who may see all; there is no $1 then.
    """

    statement: http.Statement
    parameters: Callable[[Query], tuple[bytes | None, ...]]
    for_all_jobs: bool = False


def overview_question(query: Query) -> tuple[bytes | None, ...]:
    """Take from a query what is asked of a page of the overview.

    Args:
        query: What is wrong with it is noted there.

    Returns:
        The filters, how many jobs and from where on: $2 to $9 of `NEWEST_JOBS`.
    """
    return (
        *map(query.text, ("status", "stage", "operationType", "currentDataType", "itemType", "q")),
        *(query.number("limit"), query.cursor("cursor")),
    )


_PAGES = {
    "jobs": _Page(
        http.LIST_JOBS,
        lambda query: (
            *map(query.text, ("status", "stage", "operationType", "currentDataType", "itemType")),
            *(query.instant("updatedSince"), query.text("q"), query.number("limit"), query.cursor("cursor")),
        ),
    ),
    "overview": _Page(http.NEWEST_JOBS, overview_question),
    "statuses": _Page(http.JOBS_BY_STATUS, lambda query: (query.number("atMost"),)),
    "rates": _Page(http.JOB_RATES, lambda query: (query.texts("id", with_empty=True), query.number("window"))),
    "throughput": _Page(http.THROUGHPUT_PAGE, lambda query: (query.number("minutes"),)),
    "frequency": _Page(http.BUSIEST_PAGE, lambda query: (query.number("limit"),)),
    "accuracy": _Page(http.VERIFY_NEWEST, lambda query: (query.number("jobs"),)),
    "database": _Page(http.DATABASE_FIGURES, lambda _query: (), for_all_jobs=True),
    "areas": _Page(
        http.AREAS_PAGE,
        lambda query: (query.text("root"), query.number("depth"), query.number("limit")),
    ),
    "errors": _Page(http.ERRORS_PAGE, lambda query: (query.instant("since"), query.number("limit"))),
    "stalled": _Page(http.STALLED_PAGE, lambda query: (query.number("limit"),)),
    "failures": _Page(http.RECENT_FAILURES, lambda query: (query.instant("since"), query.number("limit"))),
    "days": _Page(http.DAYS_PAGE, lambda query: (query.number("days"),)),
}


def add_reading(app: Flask, tokens: Tokens, reader: CanCall) -> None:
    """Give an application the routes that read across jobs.

    Args:
        app: The application.
        tokens: Who may call.
        reader: Where to read.
    """

    def add_page(name: str) -> None:
        @app.get(f"/api/internal/{name}", endpoint=f"list_{name}")
        @tokens.required_scope("read")
        def get_page() -> Response:
            """Give what can be read under this name."""
            return json_answer(read_page(reader, caller(), name))

    for name in _PAGES:
        add_page(name)


def read_page(reader: CanCall, who: Caller, name: str) -> bytes | None:
    """Read across jobs what the request asks for by its query.

    Args:
        reader: Where to read.
        who: Whose jobs, by the prefix of the token.
        name: What: the last part of the route.

    Returns:
        A JSON text.

    Raises:
        Problem: 400, the query is not right; 403, it is of all jobs, and this token is not.
        TallymarkError: As the function has it.
    """
    page = _PAGES[name]
    if page.for_all_jobs and who.sql_prefix is not None:
        explanation = f"This token is for jobs whose ids begin with '{who.job_prefix}', and this is of all."
        raise Problem(HTTPStatus.FORBIDDEN, "Forbidden", explanation=explanation)
    query = Query()
    parameters = page.parameters(query)
    query.check()
    [found] = reader.call(page.statement, *(() if page.for_all_jobs else (who.sql_prefix,)), *parameters)
    return found
