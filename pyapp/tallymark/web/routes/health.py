"""Is it up, and can it work? For load balancers and service managers, without a token."""

import json
from http import HTTPStatus
from typing import Any

from flask import Flask, Response

from tallymark.functions.errors import NO_RIGHT, NOT_GRANTED, NOT_INSTALLED, Unavailable
from tallymark.web.db.pool import Database, Statement
from tallymark.web.db.replica import CanCall, Reader
from tallymark.web.http.answers import Problem, json_answer

#: Each function that the web part calls must be there, with these arguments, and for us to execute.
_WRITING = (
    b'{"receive_progress(jsonb,text,text)","receive_job(jsonb,text)","receive_command(jsonb,text,text)",'
    b'"check_token(bytea)","has_tokens()","sign_in_wait(text)","note_failed_sign_in(text)",'
    b'"note_intake(jsonb)"}'
)
_READING = (
    b'{"read_job(text,integer,text[])","job_at(text,bigint,integer)","timeline_page(text,bigint,integer,text,text[])",'
    b'"timeline_before_page(text,bigint,integer,text[])","verify_page(text)","job_changes(text[],bigint[],integer)",'
    b'"diagnose_job(text,boolean,integer)",'
    b'"history_page(text,text,bigint,integer)","areas_page(text,integer,integer,text,text)",'
    b'"rate_page(text,interval)","stages_page(text)","errors_page(timestamptz,integer,text)",'
    b'"stalled_page(text,integer)","recent_failures(timestamptz,integer,text)","days_page(integer,text)","jobs_by_status(text,integer)",'
    b'"job_rates(text[],interval,text)","throughput_page(integer,text)","busiest_page(integer,text)",'
    b'"verify_newest(integer,integer,text)","database_figures()","wal_position()","operating_figures()",'
    b'"newest_jobs(text,text,text,text,text,text,text,integer,text)",'
    b'"list_jobs(text,text,text,text,text,timestamptz,text,text,integer,text)"}'
)
_HAS = Statement(
    b"tallymark_has",
    b"SELECT bool_and(function IS NOT NULL), bool_and(has_function_privilege(function, 'EXECUTE'))"
    b" FROM unnest($1::text[]) AS called (name), to_regprocedure('tallymark.' || name) AS function",
)


def add_health(app: Flask, database: Database, reader: Reader) -> None:
    """Give an application the routes of health.

    Args:
        app: The application.
        database: Where the jobs are; has to be there for it to be ready.
        reader: Where to read them.
    """

    @app.get("/healthz")
    def is_up() -> Response:
        """The process answers; the database is not asked."""
        return json_answer(b'{"status":"up"}')

    @app.get("/readyz")
    def is_ready() -> Response:
        """The database can be reached, and has what we call; how the replica does, without which it works as well."""
        _check(database, _WRITING)
        _check(reader, _READING)
        ready = {"status": "ready"} | replica_of(reader)
        return json_answer(json.dumps(ready).encode())


def replica_of(reader: Reader) -> dict[str, Any]:
    """Say how the replica does, as JSON has it.

    Args:
        reader: Where to read.

    Returns:
        `{"replica": {"used", "lagSeconds"}}`: whether this process reads from it, and how far it is behind, None where
        that cannot be told; nothing where there is none.
    """
    lag = reader.lag
    return {} if lag is None else {"replica": {"used": lag.used, "lagSeconds": lag.seconds and round(lag.seconds, 3)}}


def _check(database: CanCall, functions: bytes) -> None:
    """See that functions are there, and for us to execute."""
    there, granted = database.call(_HAS, functions)
    if there != b"t":
        raise Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "Database not migrated",
            explanation=NOT_INSTALLED,
            headers={"Retry-After": "5"},
        )
    if granted != b"t":
        raise Unavailable("Database unavailable", sqlstate=NO_RIGHT, explanation=NOT_GRANTED)
