"""Reading across jobs: lists and counts of them, their areas, errors, rates, and what the database says of itself."""

from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple

from flask import Flask, Response

from tallymark.web.auth.tokens import Caller, Tokens, caller
from tallymark.web.db.pool import Statement
from tallymark.web.db.replica import CanCall
from tallymark.web.http.answers import Problem, json_answer
from tallymark.web.http.requests import Query


class _Page(NamedTuple):
    """Something that can be read across jobs.

    Attributes:
        statement: What to run; $1 is how the ids begin of the jobs that the caller may see, null for all.
        parameters: Takes the others from the query.
        for_all_jobs: It is of no job, so that only those may read it who may see all; there is no $1 then.
    """

    statement: Statement
    parameters: Callable[[Query], tuple[bytes | None, ...]]
    for_all_jobs: bool = False


#: A page of the overview; $1 is how the ids begin, the others are what `overview_question` takes.
OVERVIEW = (
    b"tallymark.newest_jobs(id_prefix => $1::text, status => $2::text, stage => $3::text,"
    b" operation_type => $4::text, current_data_type => $5::text, item_type => $6::text,"
    b" q => $7::text, max_jobs => $8::integer, cursor => $9::text)"
)


def overview_question(query: Query) -> tuple[bytes | None, ...]:
    """Take from a query what is asked of a page of the overview.

    Args:
        query: What is wrong with it is noted there.

    Returns:
        The filters, how many jobs and from where on: $2 to $9 of `OVERVIEW`.
    """
    return (
        *map(query.text, ("status", "stage", "operationType", "currentDataType", "itemType", "q")),
        *(query.number("limit"), query.cursor("cursor")),
    )


_PAGES = {
    "jobs": _Page(
        Statement(
            b"tallymark_list_jobs",
            b"SELECT tallymark.list_jobs(id_prefix => $1::text, status => $2::text, stage => $3::text,"
            b" operation_type => $4::text, current_data_type => $5::text, item_type => $6::text,"
            b" updated_since => $7::timestamptz, q => $8::text, max_jobs => $9::integer, cursor => $10::text)",
        ),
        lambda query: (
            *map(query.text, ("status", "stage", "operationType", "currentDataType", "itemType")),
            *(query.instant("updatedSince"), query.text("q"), query.number("limit"), query.cursor("cursor")),
        ),
    ),
    "overview": _Page(Statement(b"tallymark_newest_jobs", b"SELECT " + OVERVIEW), overview_question),
    "statuses": _Page(
        Statement(b"tallymark_jobs_by_status", b"SELECT tallymark.jobs_by_status($1::text, $2::integer)"),
        lambda query: (query.number("atMost"),),
    ),
    "rates": _Page(
        Statement(
            b"tallymark_job_rates",
            b"SELECT tallymark.job_rates($2::text[], make_interval(secs => $3::integer), $1::text)",
        ),
        lambda query: (query.texts("id", with_empty=True), query.number("window")),
    ),
    "throughput": _Page(
        Statement(b"tallymark_throughput_page", b"SELECT tallymark.throughput_page($2::integer, $1::text)"),
        lambda query: (query.number("minutes"),),
    ),
    "frequency": _Page(
        Statement(b"tallymark_busiest_page", b"SELECT tallymark.busiest_page($2::integer, $1::text)"),
        lambda query: (query.number("limit"),),
    ),
    "accuracy": _Page(
        Statement(b"tallymark_verify_newest", b"SELECT tallymark.verify_newest($2::integer, id_prefix => $1::text)"),
        lambda query: (query.number("jobs"),),
    ),
    "database": _Page(
        Statement(b"tallymark_database_figures", b"SELECT tallymark.database_figures()"),
        lambda _query: (),
        for_all_jobs=True,
    ),
    "areas": _Page(
        Statement(
            b"tallymark_areas_page", b"SELECT tallymark.areas_page($2::text, $3::integer, $4::integer, $1::text)"
        ),
        lambda query: (query.text("root"), query.number("depth"), query.number("limit")),
    ),
    "errors": _Page(
        Statement(b"tallymark_errors_page", b"SELECT tallymark.errors_page($2::timestamptz, $3::integer, $1::text)"),
        lambda query: (query.instant("since"), query.number("limit")),
    ),
    "stalled": _Page(
        Statement(b"tallymark_stalled_page", b"SELECT tallymark.stalled_page($1::text, $2::integer)"),
        lambda query: (query.number("limit"),),
    ),
    "failures": _Page(
        Statement(
            b"tallymark_recent_failures",
            b"SELECT tallymark.recent_failures($2::timestamptz, $3::integer, $1::text)",
        ),
        lambda query: (query.instant("since"), query.number("limit")),
    ),
    "days": _Page(
        Statement(b"tallymark_days_page", b"SELECT tallymark.days_page($2::integer, $1::text)"),
        lambda query: (query.number("days"),),
    ),
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
