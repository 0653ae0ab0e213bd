"""Signing in with a token, and signing out.

The token and the CSRF token come in headers: a body would be read before the caller is known, and a client that sends
only half of it would block a thread. After too many failures an address has to wait; failures are counted in the
database, for all workers together.
"""

import re
from http import HTTPStatus
from ipaddress import IPv4Address, ip_address, ip_network
from threading import Lock

from flask import Flask, Response, request, session
from flask_wtf.csrf import generate_csrf

from tallymark.functions.http import NOTE_FAILED_SIGN_IN, SIGN_IN_WAIT
from tallymark.web.auth.tokens import Tokens, check_csrf
from tallymark.web.db.pool import Database
from tallymark.web.http.answers import Problem
from tallymark.web.pages.documents import page

#: A path on this server, which no browser takes for the address of another one.
_LOCAL = re.compile(r"/(?![/\\])[^\x00-\x20\\]*")


def add_sign_in(app: Flask, tokens: Tokens, writer: Database) -> None:
    """Give an application, which has sessions, the routes of signing in and out. Failures are counted in `writer`."""
    # One attempt at a time: otherwise many at once would all pass before the first failure is counted.
    turn = Lock()

    @app.get("/sign-in")
    def show_sign_in() -> Response:
        """Ask for a token."""
        return page("sign_in.html", csrf=generate_csrf(), next=_next())

    @app.post("/sign-in")
    def sign_in() -> Response:
        """Sign in with the token in the header `Authorization`."""
        check_csrf()
        with turn:
            _take(request.environ.get("HTTP_AUTHORIZATION"), tokens, writer)
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


def _take(authorization: str | None, tokens: Tokens, writer: Database) -> None:
    """Sign in, or raise: 401 for a wrong token, 429 after too many failures."""
    source = _source()
    [found] = writer.call(SIGN_IN_WAIT, source)
    wait = int(found or 0)
    if wait > 0:
        raise Problem(
            HTTPStatus.TOO_MANY_REQUESTS,
            "Too many failed attempts",
            explanation=f"Too many failed attempts to sign in. Try again in {wait} s.",
            headers={"Retry-After": str(wait)},
        )
    try:
        tokens.sign_in(authorization)
    except Problem as problem:
        if problem.status == HTTPStatus.UNAUTHORIZED:
            writer.call(NOTE_FAILED_SIGN_IN, source)
            problem.explanation = "There is no such token, or it has expired."
        raise


def _source() -> bytes:
    """Return the address that a failure counts for; in IPv6 its /64 network, all of which one client may have."""
    given = request.remote_addr or ""
    try:
        address = ip_address(given)
    except ValueError:
        return given.encode()
    if isinstance(address, IPv4Address):
        return str(address).encode()
    return str(address.ipv4_mapped or ip_network((address, 64), strict=False)).encode()


def _next() -> str:
    """Return the page to show after signing in: the one that was asked for, if it is on this server."""
    wanted = request.args.get("next", "")
    return wanted if _LOCAL.fullmatch(wanted) else "/"
