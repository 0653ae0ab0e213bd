"""Reading across jobs: the list of them, their areas, errors, days, and which have fallen silent."""

from collections.abc import Callable
from typing import NamedTuple

from flask import Flask, Response

from tallymark.web.answers import json_answer
from tallymark.web.auth import Tokens, caller
from tallymark.web.database import Database, Statement
from tallymark.web.query import Query


class _Page(NamedTuple):
    """Something that can be read across jobs.

    Attributes:
        statement: What to run; $1 is how the ids begin of the jobs that the caller may see, null for all.
        parameters: Takes the others from the query.
    """

    statement: Statement
    parameters: Callable[[Query], tuple[bytes | None, ...]]


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
    "days": _Page(
        Statement(b"tallymark_days_page", b"SELECT tallymark.days_page($2::integer, $1::text)"),
        lambda query: (query.number("days"),),
    ),
}


def add_reading(app: Flask, tokens: Tokens, reader: Database) -> None:
    """Give an application the routes that read across jobs.

    Args:
        app: The application.
        tokens: Who may call.
        reader: Where to read.
    """

    def add_page(name: str, page: _Page) -> None:
        @app.get(f"/api/internal/{name}", endpoint=f"list_{name}")
        @tokens.required_scope("read")
        def get_page() -> Response:
            """Give what can be read under this name."""
            query = Query()
            parameters = page.parameters(query)
            query.check()
            [found] = reader.call(page.statement, caller().sql_prefix, *parameters)
            return json_answer(found)

    for name, page in _PAGES.items():
        add_page(name, page)
