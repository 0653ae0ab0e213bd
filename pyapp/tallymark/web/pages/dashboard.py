"""The pages of the dashboard. All are one document: its script draws the page for the address.

The document contains only what belongs to the session, and on the overview the first jobs, so that they appear at
once.
"""

from collections.abc import Callable
from http import HTTPStatus
from importlib.metadata import version
from urllib.parse import urlencode

from flask import Flask, Response, redirect, request
from flask.json import dumps
from flask_wtf.csrf import generate_csrf
from markupsafe import Markup

from tallymark.addresses import PAGES
from tallymark.functions.errors import TallymarkError
from tallymark.functions.http import LAST_FAILURES
from tallymark.web.auth.tokens import Caller, Tokens
from tallymark.web.db.replica import CanCall
from tallymark.web.http.answers import Problem
from tallymark.web.pages.documents import page
from tallymark.web.routes.lists import read_page


def add_dashboard(app: Flask, tokens: Tokens, reader: CanCall) -> None:
    """Give an application, which has sessions, the pages of the dashboard."""

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
        # Searching for a part of the id may take long, and the page should not wait for it.
        is_quick = is_overview and not request.args.get("q")
        first = _jobs(lambda: read_page(reader, who, "overview", others_allowed=True)) if is_quick else "null"
        failed = _jobs(lambda: reader.call(LAST_FAILURES, who.sql_prefix)[0]) if is_overview else "null"
        return page("dashboard.html", boot=_boot(who, first, failed))

    for address in PAGES:
        app.add_url_rule(address, f"show {address}", show, methods=["GET"])


def _jobs(read: Callable[[], bytes | None]) -> str:
    """Return what the overview begins with, as JSON; null if that fails: then the page asks again and shows why."""
    try:
        return (read() or b"null").decode()
    except (Problem, TallymarkError):
        return "null"


def _boot(who: Caller, first: str, failed: str) -> Markup:
    """Return the script's data as JSON that cannot end an HTML element."""
    session = dumps({
        "csrf": generate_csrf(),
        "name": who.name,
        "scopes": sorted(who.scopes),
        "jobPrefix": who.job_prefix,
        "version": version("tallymark"),
    })  # fmt: skip
    data = f'{session[:-1]}, "first": {first}, "failed": {failed}}}'
    return Markup(data.replace("<", "\\u003c"))  # noqa: S704 - `<` is all that has a meaning inside a script element
