"""The hot route: a crawler reports, PostgreSQL merges, and its answer goes back unparsed."""

import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, request

from tallymark.functions.errors import InvalidUpdate, TallymarkError, is_refusal
from tallymark.web.auth.tokens import Tokens, caller
from tallymark.web.db.merging import Merger
from tallymark.web.http.admission import AdmissionQueue
from tallymark.web.http.answers import Problem, json_answer
from tallymark.web.http.bodies import Bodies
from tallymark.web.http.surrogates import mended, with_warning
from tallymark.web.telemetry.updates import UpdateLog

#: The same limit as for an updateId, which the key replaces. It is checked here so that the problem names the header,
#: and so that a bad key is refused beside an updateId, too.
_MAX_KEY_LENGTH = 255

_PATH = "/api/internal/jobs/progress"
#: Where the WSGI environment keeps a body that was read before the request had a turn, or what is wrong with it.
_EARLY = "tallymark.early"


def read_early(tokens: Tokens, bodies: Bodies, merger: Merger) -> Callable[[dict[str, Any]], bool]:
    """Return what reads an update before its request has a turn, if its token is known to be right.

    Without it a request would have to give its turn back to read its body, and wait for another one. A caller without a
    token is refused before its body is read. It returns False where the update would only be turned away by the merger:
    thousands of these a second would take the time that the others need.
    """

    def read(environ: dict[str, Any]) -> bool:
        if environ["PATH_INFO"] == _PATH and tokens.recognises(environ):
            if merger.turns_away():
                return False
            try:
                environ[_EARLY] = bodies.read_json(environ)
            except Problem as problem:
                # Its traceback would keep the environment, and the body, until Python looks for such circles.
                environ[_EARLY] = problem.with_traceback(None)
        return True

    return read


def add_progress(
    app: Flask, tokens: Tokens, merger: Merger, updates: UpdateLog, queue: AdmissionQueue, bodies: Bodies
) -> None:
    """Give an application the route that crawlers report to."""
    # The server ends the reading of bodies when it stops.
    app.extensions["tallymark.bodies"] = bodies

    def body_of(environ: dict[str, Any]) -> bytes:
        early = environ.pop(_EARLY, None)
        if isinstance(early, Problem):
            try:
                raise early
            finally:
                del early  # for the same reason
        if early is None:
            with queue.outside():
                early = bodies.read_json(environ)
        environ["tallymark.body"] = early
        return bytes(early)

    @app.post(_PATH)
    @tokens.required_scope("write")
    def receive_progress() -> Response:
        """Take one update, or a batch of them."""
        environ = request.environ
        key = environ.get("HTTP_IDEMPOTENCY_KEY")
        body = body_of(environ)
        checked_key = None if key is None else _checked_key(key)
        began = time.perf_counter()
        # It waits for others, and so has no turn; the merger wakes it with one.
        queue.leave()
        try:
            try:
                answer = merger.merge(body, checked_key, caller().sql_prefix)
            except InvalidUpdate as error:
                whole = mended(body, error.sqlstate)
                if whole is None:
                    if is_refusal(error.sqlstate) and not body.lstrip().startswith((b"{", b"[")):
                        raise _not_an_update(error) from None
                    raise
                queue.leave()
                answer = with_warning(merger.merge(whole, checked_key, caller().sql_prefix), body)
                body = whole
        except TallymarkError as error:
            queue.resume()
            updates.refused(body, error)
            raise
        finally:
            queue.resume()
        updates.accepted(body, answer, time.perf_counter() - began)
        return json_answer(answer)


def _not_an_update(error: InvalidUpdate) -> InvalidUpdate:
    """Return the refusal of a body that is JSON, but a text, a number or the like."""
    # The database does not say this of an array, since it also checks each update of one.
    detail = {"field": "", "problem": "must be a JSON object, or an array of updates"}
    return InvalidUpdate(str(error), sqlstate=error.sqlstate, details=[detail])


def _checked_key(key: str) -> bytes:
    """Return the bytes of the header `Idempotency-Key`."""
    # Granian passes on a header with other characters as an empty one, so one message covers both.
    if not (key.isascii() and 1 <= len(key) <= _MAX_KEY_LENGTH):
        problem = {"field": "Idempotency-Key", "problem": f"must be 1 to {_MAX_KEY_LENGTH} ASCII characters"}
        raise Problem(HTTPStatus.BAD_REQUEST, "Invalid progress payload", details=[problem])
    return key.encode()
