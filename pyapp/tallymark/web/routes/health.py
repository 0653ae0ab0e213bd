"""Is it up, and can it work? For load balancers and service managers, without a token."""

import json
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from flask import Flask, Response

from tallymark.functions.call import Call
from tallymark.functions.errors import NO_RIGHT, NOT_GRANTED, NOT_INSTALLED, Unavailable
from tallymark.functions.http import READING, WRITING, Statement
from tallymark.web.db.pool import Database
from tallymark.web.db.replica import CanCall, Reader
from tallymark.web.http.answers import json_answer
from tallymark.web.http.problems import Problem

_HAS = Statement(
    b"tallymark_has",
    b"SELECT bool_and(p.oid IS NOT NULL), bool_and(has_function_privilege(p.oid, 'EXECUTE'))"
    b" FROM jsonb_to_recordset($1) AS called (function text, arguments text[])"
    b" LEFT JOIN pg_proc AS p ON p.pronamespace = to_regnamespace('tallymark') AND p.proname = called.function"
    b" AND called.arguments <@ coalesce(p.proargnames, '{}')",
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
        _check(database, WRITING)
        _check(reader, READING)
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


def _check(database: CanCall, calls: Iterable[Call]) -> None:
    """Refuse to be ready where a function is missing, lacks one of the arguments, or may not be called."""
    wanted = [{"function": call.function, "arguments": list(call.arguments)} for call in calls]
    there, granted = database.call(_HAS, json.dumps(wanted).encode())
    if there != b"t":
        raise Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "Database not migrated",
            explanation=NOT_INSTALLED,
            headers={"Retry-After": "5"},
        )
    if granted != b"t":
        raise Unavailable("Database unavailable", sqlstate=NO_RIGHT, explanation=NOT_GRANTED)
