"""Signing in with a token, and signing out.

The token and the CSRF token come in headers: a body would be read before the caller is known, and a client that sends
only half of it would hold a thread for up to TALLYMARK_BODY_TIMEOUT. After too many failures further wrong tokens from
the same address are refused with 429 for a while; failures are counted in the database, for all workers together.
"""

import re
from http import HTTPStatus
from threading import Lock

from flask import Flask, Response, request, session
from flask_wtf.csrf import generate_csrf

from tallymark.functions.http import NOTE_FAILED_SIGN_IN, SIGN_IN_WAIT
from tallymark.web.auth.guesses import source_of
from tallymark.web.auth.tokens import NO_SUCH_TOKEN, Tokens, check_csrf, too_many
from tallymark.web.db.pool import Database
from tallymark.web.http.answers import Problem
from tallymark.web.pages.documents import page

#: A path on this server, which no browser takes for the address of another one.
_LOCAL = re.compile(r"/(?![/\\])[^\x00-\x20\\]*")


def add_sign_in(app: Flask, tokens: Tokens, writer: Database) -> None:
    """Give an application, which has sessions, the routes of signing in and out. Failures are counted in `writer`."""
    # One failure is counted at a time: otherwise many at once would all pass before the first one is counted. The
    # others are refused and do not wait, because that would hold up their threads.
    turn = Lock()

    @app.get("/sign-in")
    def show_sign_in() -> Response:
        """Ask for a token."""
        return page("sign_in.html", csrf=generate_csrf(), next=_next())

    @app.post("/sign-in")
    def sign_in() -> Response:
        """Sign in with the token in the header `Authorization`."""
        check_csrf()
        try:
            tokens.sign_in(request.environ.get("HTTP_AUTHORIZATION"), request.remote_addr or "")
        except Problem as problem:
            # Only now: the right token is let in, however many wrong ones came from the same address.
            if problem.status == HTTPStatus.UNAUTHORIZED:
                raise _slowed(writer, turn) or _wrong() from None
            raise
        # Now: if a later request added it to the session, the session's lifetime would begin again.
        generate_csrf()
        session.permanent = True
        return Response(status=HTTPStatus.NO_CONTENT)

    @app.post("/sign-out")
    def sign_out() -> Response:
        """End the session."""
        check_csrf()
        tokens.sign_out()
        return Response(status=HTTPStatus.NO_CONTENT)


def _wrong() -> Problem:
    return Problem(
        HTTPStatus.UNAUTHORIZED,
        "Unauthorized",
        explanation=NO_SUCH_TOKEN,
        headers={"WWW-Authenticate": "Bearer"},
    )


def _slowed(writer: Database, turn: Lock) -> Problem | None:
    """Count a failed attempt; return the problem if its address has to wait, and then count nothing."""
    if not turn.acquire(blocking=False):
        return too_many(1)
    try:
        source = source_of(request.remote_addr).encode()
        [found] = writer.call(SIGN_IN_WAIT, source)
        if wait := int(found or 0):
            return too_many(wait)
        writer.call(NOTE_FAILED_SIGN_IN, source)
    finally:
        turn.release()
    return None


def _next() -> str:
    """Return the page to show after signing in: the one that was asked for, if it is on this server."""
    wanted = request.args.get("next", "")
    return wanted if _LOCAL.fullmatch(wanted) else "/"
