"""Is it up, and can it work? For load balancers and service managers, without a token."""

from http import HTTPStatus

from flask import Flask, Response

from tallymark.web.answers import json_answer
from tallymark.web.database import Database, Statement
from tallymark.web.problems import Problem

#: Each function that the web part calls must be there, with these arguments, and for us to execute.
_CALLED = (
    "receive_progress(jsonb,text)",
    "receive_job(jsonb)",
    "get_job(text,integer)",
    "timeline_page(text,bigint,integer,text)",
)
_IS_MIGRATED = Statement(
    b"tallymark_is_migrated",
    b"SELECT bool_and(coalesce(has_function_privilege(to_regprocedure('tallymark.' || name), 'EXECUTE'), false))"
    b" FROM unnest($1::text[]) AS called (name)",
)


def add_health(app: Flask, database: Database) -> None:
    """Give an application the routes of health.

    Args:
        app: The application.
        database: What has to be there for it to be ready.
    """

    @app.get("/healthz")
    def is_up() -> Response:
        """The process answers; the database is not asked."""
        return json_answer(b'{"status":"up"}')

    @app.get("/readyz")
    def is_ready() -> Response:
        """The database can be reached, and has what we call."""
        array = "{" + ",".join(f'"{name}"' for name in _CALLED) + "}"
        [migrated] = database.call(_IS_MIGRATED, array.encode())
        if migrated != b"t":
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "Database not migrated",
                explanation="The database has no Tallymark, or another release of it: run `tallymark migrate`.",
                headers={"Retry-After": "5"},
            )
        return json_answer(b'{"status":"ready"}')
