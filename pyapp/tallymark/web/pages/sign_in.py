"""Signing in with a token, and signing out.

Who fails too often from one address waits; how long is counted in the database, for all workers at once.
"""

import re
from http import HTTPStatus

from flask import Flask, Response, redirect, request, session, url_for
from flask_wtf.csrf import generate_csrf, validate_csrf
from wtforms import ValidationError

from tallymark.errors import Unavailable
from tallymark.web.auth import Tokens
from tallymark.web.database import Database, Statement
from tallymark.web.pages.assets import Assets
from tallymark.web.pages.documents import page
from tallymark.web.problems import Problem

WAIT = Statement(b"tallymark_sign_in_wait", b"SELECT tallymark.sign_in_wait($1::text)")
#: Run again where a connection breaks, it may count one failure twice, which does no harm.
NOTE_FAILURE = Statement(b"tallymark_note_failed_sign_in", b"SELECT tallymark.note_failed_sign_in($1::text)::text")

#: A form of ours has a few hundred bytes.
_MOST_BYTES = 16_384
#: A path of this server, which no browser takes for another one's.
_LOCAL = re.compile(r"/(?![/\\])[^\x00-\x20\\]*")


def add_sign_in(app: Flask, tokens: Tokens, writer: Database, assets: Assets) -> None:
    """Give an application the routes of signing in and out.

    Args:
        app: The application.
        tokens: Who may come in.
        writer: Where failures are counted.
        assets: The style sheet.
    """

    @app.get("/sign-in")
    def show_sign_in() -> Response:
        """Ask for a token."""
        return _form(assets)

    @app.post("/sign-in")
    def sign_in() -> Response:
        """Take a token."""
        if not _is_ours():
            trouble = "This form was too old, or the browser keeps no cookies. Try again."
            return _form(assets, _Refused(HTTPStatus.FORBIDDEN, trouble))
        try:
            _take(request.form.get("token", ""), tokens, writer)
        except _Refused as refused:
            return _form(assets, refused)
        return _go(_next())

    @app.post("/sign-out")
    def sign_out() -> Response:
        """Forget who signed in."""
        if _is_ours():
            session.clear()
        return _go(url_for("show_sign_in"))


class _Refused(Exception):  # noqa: N818 - it is no defect
    """Nobody is let in by this; `wait` is in seconds."""

    def __init__(self, status: HTTPStatus, trouble: str, wait: int = 0) -> None:
        super().__init__(trouble)
        self.status = status
        self.wait = wait


def _take(token: str, tokens: Tokens, writer: Database) -> None:
    """Let somebody in, or raise _Refused."""
    source = (request.remote_addr or "").encode()
    try:
        [found] = writer.call(WAIT, source)
        wait = int(found or 0)
        if wait > 0:
            trouble = f"Too many failed attempts. Try again in {wait} s."
            raise _Refused(HTTPStatus.TOO_MANY_REQUESTS, trouble, wait)
        tokens.sign_in(token)
        session.permanent = True
    except Problem as problem:
        if problem.status != HTTPStatus.UNAUTHORIZED:
            raise _Refused(problem.status, problem.explanation or str(problem)) from None
        writer.call(NOTE_FAILURE, source)
        raise _Refused(problem.status, "There is no such token, or it has expired.") from None
    except Unavailable:
        trouble = "The database is away. Try again in a moment."
        raise _Refused(HTTPStatus.SERVICE_UNAVAILABLE, trouble, 5) from None


def _form(assets: Assets, refused: _Refused | None = None) -> Response:
    """Answer with the form, and why it has to be filled in again."""
    status, trouble = (refused.status, str(refused)) if refused else (HTTPStatus.OK, "")
    answer = page(
        "sign_in.html", status, trouble=trouble, csrf=generate_csrf(), next=_next(), assets=assets.addresses()
    )
    if refused and refused.wait:
        answer.headers["Retry-After"] = str(refused.wait)
    return answer


def _is_ours() -> bool:
    """Say whether a form is one that this session was given."""
    request.max_content_length = _MOST_BYTES
    try:
        validate_csrf(request.form.get("csrf_token"))
    except ValidationError:
        return False
    return True


def _next() -> str:
    """Return where to go after signing in: what was asked for before, if that is here."""
    wanted = request.values.get("next", "")
    return wanted if _LOCAL.fullmatch(wanted) else "/"


def _go(address: str) -> Response:
    answer = redirect(address, HTTPStatus.SEE_OTHER)
    return Response(answer.get_data(), answer.status_code, answer.headers)
