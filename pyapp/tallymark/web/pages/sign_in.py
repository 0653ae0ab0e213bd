"""Signing in with a token, and signing out.

The token and the form's own come in headers: a body would have to be read before anybody is known, and whoever sends
only half of one would hold a thread of the server's. Who fails too often from one address waits; how long is counted in
the database, for all workers at once.
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
from tallymark.web.http.problems import Problem
from tallymark.web.pages.assets import Assets
from tallymark.web.pages.documents import page

#: A path of this server, which no browser takes for another one's.
_LOCAL = re.compile(r"/(?![/\\])[^\x00-\x20\\]*")


def add_sign_in(app: Flask, tokens: Tokens, writer: Database, assets: Assets) -> None:
    """Give an application the routes of signing in and out.

    Args:
        app: The application.
        tokens: Who may come in.
        writer: Where failures are counted.
        assets: The style sheet and the script.
    """
    # One after the other: of many at once each would find that nobody has failed yet.
    turn = Lock()

    @app.get("/sign-in")
    def show_sign_in() -> Response:
        """Ask for a token."""
        return page("sign_in.html", csrf=generate_csrf(), next=_next(), assets=assets.addresses())

    @app.post("/sign-in")
    def sign_in() -> Response:
        """Take a token, as the header `Authorization` has it."""
        check_csrf()
        with turn:
            _take(request.environ.get("HTTP_AUTHORIZATION"), tokens, writer)
        # Now, since a session that changes later would begin anew.
        generate_csrf()
        session.permanent = True
        return Response(status=HTTPStatus.NO_CONTENT)

    @app.post("/sign-out")
    def sign_out() -> Response:
        """Forget who signed in."""
        check_csrf()
        session.clear()
        return Response(status=HTTPStatus.NO_CONTENT)


def _take(authorization: str | None, tokens: Tokens, writer: Database) -> None:
    """Let somebody in, or raise."""
    source = _source()
    [found] = writer.call(SIGN_IN_WAIT, source)
    wait = int(found or 0)
    if wait > 0:
        raise Problem(
            HTTPStatus.TOO_MANY_REQUESTS,
            "Too many failed attempts",
            explanation=f"Too many failed attempts. Try again in {wait} s.",
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
    """Return for whom a failure counts: an address; in IPv6 a network, where a client has as many as it likes."""
    given = request.remote_addr or ""
    try:
        address = ip_address(given)
    except ValueError:
        return given.encode()
    if isinstance(address, IPv4Address):
        return str(address).encode()
    return str(address.ipv4_mapped or ip_network((address, 64), strict=False)).encode()


def _next() -> str:
    """Return where to go after signing in: what was asked for before, if that is here."""
    wanted = request.args.get("next", "")
    return wanted if _LOCAL.fullmatch(wanted) else "/"
