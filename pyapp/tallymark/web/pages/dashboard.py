"""The pages of the dashboard. All are one document: its script draws the page that the address asks for.

What is in it is only the session's own, and for the overview the first jobs, so that they are seen at once.
"""

from collections.abc import Callable
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlencode

from flask import Flask, Response, redirect, request
from flask.json import dumps
from flask_wtf.csrf import generate_csrf
from markupsafe import Markup

from tallymark.functions.errors import TallymarkError
from tallymark.functions.http import LAST_FAILURES
from tallymark.web.auth.callers import Caller
from tallymark.web.auth.tokens import Tokens
from tallymark.web.db.pool import Database
from tallymark.web.db.replica import CanCall
from tallymark.web.http.problems import Problem
from tallymark.web.pages.assets import Assets, add_assets
from tallymark.web.pages.documents import page
from tallymark.web.pages.sign_in import add_sign_in
from tallymark.web.routes.lists import read_page

#: The addresses that the script knows; see pyapp/dashboard/src/main.tsx.
_PAGES = ("/", "/job", "/errors", "/history", "/areas", "/system")
_STATIC = Path(__file__).parent.parent / "static"


def add_dashboard(app: Flask, tokens: Tokens, writer: Database, reader: CanCall) -> None:
    """Give an application the dashboard, and the way in.

    Args:
        app: The application; it has sessions.
        tokens: Who may come in.
        writer: Where failures to sign in are counted.
        reader: Where to read.
    """
    assets = Assets(_STATIC)
    add_assets(app, assets)
    add_sign_in(app, tokens, writer, assets)

    def show() -> Response:
        """Show a page, or send the browser to sign in."""
        try:
            who = tokens.signed_in()
        except Problem as problem:
            if problem.status != HTTPStatus.UNAUTHORIZED:
                raise
            wanted = request.full_path.removesuffix("?")
            answer = redirect("/sign-in" + ("" if wanted == "/" else "?" + urlencode({"next": wanted})), 303)
            return Response(answer.get_data(), answer.status_code, {**answer.headers, "Cache-Control": "no-store"})
        is_overview = request.path == "/"
        # Looking for a part of the id may take long, and the page should be there meanwhile.
        is_quick = is_overview and not request.args.get("q")
        first = _jobs(lambda: read_page(reader, who, "overview")) if is_quick else "null"
        failed = _jobs(lambda: reader.call(LAST_FAILURES, who.sql_prefix)[0]) if is_overview else "null"
        return page("dashboard.html", boot=_boot(who, first, failed), assets=assets.addresses())

    for address in _PAGES:
        app.add_url_rule(address, f"show {address}", show, methods=["GET"])


def _jobs(read: Callable[[], bytes | None]) -> str:
    """Return jobs that the overview begins with, as JSON; the page asks again where that fails, and says why."""
    try:
        return (read() or b"null").decode()
    except (Problem, TallymarkError):
        return "null"


def _boot(who: Caller, first: str, failed: str) -> Markup:
    """Return what the script is told, as JSON that ends no element of HTML."""
    session = dumps({
        "csrf": generate_csrf(),
        "name": who.name,
        "scopes": sorted(who.scopes),
        "jobPrefix": who.job_prefix,
        "version": version("tallymark"),
    })  # fmt: skip
    told = f'{session[:-1]}, "first": {first}, "failed": {failed}}}'
    return Markup(told.replace("<", "\\u003c"))  # noqa: S704 - `<` is all that HTML would take for its own in a script
