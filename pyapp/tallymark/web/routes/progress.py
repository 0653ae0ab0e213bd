"""The hot route: a crawler reports, PostgreSQL merges, and its answer goes back as it is."""

import time
from http import HTTPStatus

from flask import Flask, Response, request

from tallymark.functions.errors import TallymarkError
from tallymark.web.auth.tokens import Tokens, caller
from tallymark.web.db.pool import Database, Statement
from tallymark.web.http.answers import Problem, json_answer
from tallymark.web.http.requests import read_json_body
from tallymark.web.telemetry.updates import UpdateLog

#: Safe to run twice: every update that comes over HTTP has a key, by which it counts once.
RECEIVE_PROGRESS = Statement(
    b"tallymark_receive_progress",
    b"SELECT tallymark.receive_progress($1::jsonb, $2::text, $3::text)",
    takes_json=True,
)
#: As many as an updateId may have, which the key stands for. It is looked at here so that the problem is reported of
#: the header, and so that a bad key beside an updateId is one, too.
_MOST_CHARACTERS = 255


def add_progress(app: Flask, tokens: Tokens, database: Database, most_bytes: int) -> None:
    """Give an application the route that crawlers report to.

    Args:
        app: The application.
        tokens: Who may report.
        database: Where the jobs are.
        most_bytes: The largest body that is taken.
    """
    updates = UpdateLog(database)

    @app.post("/api/internal/jobs/progress")
    @tokens.required_scope("write")
    def receive_progress() -> Response:
        """Take one update, or a batch of them."""
        environ = request.environ
        key = environ.get("HTTP_IDEMPOTENCY_KEY")
        body = environ["tallymark.body"] = read_json_body(environ, most_bytes)
        checked_key = None if key is None else _checked_key(key)
        began = time.perf_counter()
        try:
            [answer] = database.call(RECEIVE_PROGRESS, body, checked_key, caller().sql_prefix)
        except TallymarkError as error:
            updates.refused(body, error)
            raise
        updates.accepted(body, answer, time.perf_counter() - began)
        return json_answer(answer)


def _checked_key(key: str) -> bytes:
    """Return the bytes of the header `Idempotency-Key`."""
    # Granian gives a header with other characters as an empty one, so the one message covers both.
    if not (key.isascii() and 1 <= len(key) <= _MOST_CHARACTERS):
        problem = {"field": "Idempotency-Key", "problem": f"must be 1 to {_MOST_CHARACTERS} ASCII characters"}
        raise Problem(HTTPStatus.BAD_REQUEST, "Invalid progress payload", details=[problem])
    return key.encode()
