"""Reading across jobs: lists, counts, areas, errors and rates, and figures about the database itself."""

from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple

from flask import Flask, Response, current_app

from tallymark.functions import http
from tallymark.web.auth.tokens import Caller, Tokens, caller
from tallymark.web.db.replica import CanCall
from tallymark.web.http.answers import Problem, json_answer
from tallymark.web.http.requests import Query

#: The member of the application's configuration with TALLYMARK_NEVER_REPORTED_AFTER.
NEVER_REPORTED = "TALLYMARK_NEVER_REPORTED"


class _Page(NamedTuple):
    """Something that can be read across jobs, with its parameters after $1, the caller's prefix.

    What is `for_all_jobs` has no $1, and is only for callers that may see all jobs.
    """

    statement: http.Statement
    parameters: Callable[[Query], tuple[bytes | None, ...]]
    for_all_jobs: bool = False


def overview_question(query: Query) -> tuple[bytes | None, ...]:
    """Return the filters, limit and cursor of a page of the overview: $2 to $12 of `NEWEST_JOBS`."""
    return (*_filters(query), query.text("q"), query.number("limit"), query.cursor("cursor"))


def _filters(query: Query) -> tuple[bytes | None, ...]:
    """Return what lists of jobs are filtered by, in the order of the statements."""
    return (
        *map(query.text, ("status", "stage", "operationType", "currentDataType", "itemType")),
        *(query.members("attribute."), query.text("series"), query.text("parent")),
    )


def never_reported() -> bytes:
    """Return after how many seconds a job that was never reported on needs attention, as a parameter."""
    seconds: bytes = current_app.config[NEVER_REPORTED]
    return seconds


_PAGES = {
    "jobs": _Page(
        http.LIST_JOBS,
        lambda query: (
            *_filters(query),
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
    "stalled": _Page(http.STALLED_PAGE, lambda query: (query.number("limit"), never_reported())),
    "failures": _Page(http.RECENT_FAILURES, lambda query: (query.instant("since"), query.number("limit"))),
    "series": _Page(http.SERIES_RUNS, lambda query: (query.text("series"), query.number("limit"))),
    "days": _Page(http.DAYS_PAGE, lambda query: (query.number("days"),)),
}


def add_lists(app: Flask, tokens: Tokens, reader: CanCall) -> None:
    """Give an application the routes that read across jobs."""

    def add_page(name: str) -> None:
        @app.get(f"/api/internal/{name}", endpoint=f"list_{name}")
        @tokens.required_scope("read")
        def get_page() -> Response:
            """Return the page of this name."""
            return json_answer(read_page(reader, caller(), name))

    for name in _PAGES:
        add_page(name)


def read_page(reader: CanCall, who: Caller, name: str, *, others_allowed: bool = False) -> bytes | None:
    """Return a page by its name, for the query of the request at hand, as JSON.

    `others_allowed` ignores the parameters that the page does not have: addresses that people open may have such.

    Raises:
        Problem: 400 for a wrong query; 403 if it covers all jobs and the token does not.
        TallymarkError: The database refused it, or failed.
    """
    page = _PAGES[name]
    if page.for_all_jobs and who.sql_prefix is not None:
        explanation = f"This token is for jobs whose ids begin with '{who.job_prefix}', but this covers all jobs."
        raise Problem(HTTPStatus.FORBIDDEN, "Forbidden", explanation=explanation)
    query = Query()
    parameters = page.parameters(query)
    query.check(others_allowed=others_allowed)
    [found] = reader.call(page.statement, *(() if page.for_all_jobs else (who.sql_prefix,)), *parameters)
    return found
