"""Whether the process is up, and whether it can work: for load balancers and service managers, without a token."""

import json
from collections.abc import Iterable
from http import HTTPStatus

from flask import Flask, Response

from tallymark.functions.call import Call
from tallymark.functions.errors import NO_RIGHT, NOT_GRANTED, NOT_INSTALLED, Unavailable
from tallymark.functions.http import READING, WRITING, Statement
from tallymark.web.db.pool import Database
from tallymark.web.db.replica import CanCall, Reader
from tallymark.web.http.answers import Problem, json_answer

_HAS = Statement(
    b"tallymark_has",
    b"SELECT bool_and(p.oid IS NOT NULL), bool_and(has_function_privilege(p.oid, 'EXECUTE'))"
    b" FROM jsonb_to_recordset($1) AS called (function text, arguments text[])"
    b" LEFT JOIN pg_proc AS p ON p.pronamespace = to_regnamespace('tallymark') AND p.proname = called.function"
    b" AND called.arguments <@ coalesce(p.proargnames, '{}')"
    # Arguments that must be given and are not: another release has added them.
    b" AND coalesce(p.proargnames[:p.pronargs - p.pronargdefaults], '{}') <@ called.arguments",
)


def add_health(app: Flask, database: Database, reader: Reader) -> None:
    """Give an application the routes of health."""

    @app.get("/healthz")
    def is_up() -> Response:
        """Return that the process answers. The database is not asked."""
        return json_answer(b'{"status":"up"}')

    @app.get("/readyz")
    def is_ready() -> Response:
        """Check that all functions can be called; return the state of the replica, which may be away."""
        _check(database, WRITING)
        _check(reader, READING)
        ready = {"status": "ready"} | reader.replica_status()
        return json_answer(json.dumps(ready).encode())


def _check(database: CanCall, calls: Iterable[Call]) -> None:
    """Raise 503 if a function is missing, lacks an argument, or may not be called."""
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
