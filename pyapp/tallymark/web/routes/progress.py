"""The hot route: a crawler reports, PostgreSQL merges, and its answer goes back unparsed."""

import time
from http import HTTPStatus

from flask import Flask, Response, request

from tallymark.functions.errors import InvalidUpdate, TallymarkError
from tallymark.functions.http import RECEIVE_PROGRESS
from tallymark.web.auth.tokens import Tokens, caller
from tallymark.web.db.pool import Database
from tallymark.web.http.answers import Problem, json_answer
from tallymark.web.http.bodies import Bodies
from tallymark.web.http.surrogates import mended, with_warning
from tallymark.web.telemetry.updates import UpdateLog

#: The same limit as for an updateId, which the key replaces. It is checked here so that the problem names the header,
#: and so that a bad key is refused beside an updateId, too.
_MAX_KEY_LENGTH = 255


def add_progress(app: Flask, tokens: Tokens, database: Database, bodies: Bodies) -> None:
    """Give an application the route that crawlers report to."""
    updates = UpdateLog(database)

    @app.post("/api/internal/jobs/progress")
    @tokens.required_scope("write")
    def receive_progress() -> Response:
        """Take one update, or a batch of them."""
        environ = request.environ
        key = environ.get("HTTP_IDEMPOTENCY_KEY")
        body = environ["tallymark.body"] = bodies.read_json(environ)
        checked_key = None if key is None else _checked_key(key)
        began = time.perf_counter()
        try:
            try:
                [answer] = database.call(RECEIVE_PROGRESS, body, checked_key, caller().sql_prefix)
            except InvalidUpdate as error:
                whole = mended(body, error.sqlstate)
                if whole is None:
                    raise
                [answer] = database.call(RECEIVE_PROGRESS, whole, checked_key, caller().sql_prefix)
                answer, body = with_warning(answer, body), whole
        except TallymarkError as error:
            updates.refused(body, error)
            raise
        updates.accepted(body, answer, time.perf_counter() - began)
        return json_answer(answer)


def _checked_key(key: str) -> bytes:
    """Return the bytes of the header `Idempotency-Key`."""
    # Granian passes on a header with other characters as an empty one, so one message covers both.
    if not (key.isascii() and 1 <= len(key) <= _MAX_KEY_LENGTH):
        problem = {"field": "Idempotency-Key", "problem": f"must be 1 to {_MAX_KEY_LENGTH} ASCII characters"}
        raise Problem(HTTPStatus.BAD_REQUEST, "Invalid progress payload", details=[problem])
    return key.encode()
