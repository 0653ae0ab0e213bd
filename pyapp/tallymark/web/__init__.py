"""Tallymark over HTTP: a WSGI application that any WSGI server can run.

gunicorn 'tallymark.web:create_app()'
"""

from flask import Flask
from flask.sessions import NullSession, SessionInterface
from werkzeug.wrappers import Request, Response

from tallymark.logs import configure_logging
from tallymark.settings import Settings
from tallymark.web.auth import Tokens
from tallymark.web.commands import add_commands
from tallymark.web.database import Database
from tallymark.web.health import add_health
from tallymark.web.jobs import add_jobs
from tallymark.web.openapi import add_openapi
from tallymark.web.problems import add_handlers
from tallymark.web.progress import add_progress

__all__ = ["create_app"]


class _NoSession(SessionInterface):
    """No cookies are read or written, and none of it is paid for."""

    _session = NullSession()

    def open_session(self, app: Flask, request: Request) -> NullSession:  # noqa: ARG002 - Flask's signature
        """Return the one session, which keeps nothing."""
        return self._session

    def save_session(self, app: Flask, session: object, response: Response) -> None:
        """Keep nothing."""


def create_app(settings: Settings | None = None) -> Flask:
    """Make the application. Nothing is connected before the first request.

    Args:
        settings: All settings; None takes them from the environment.

    Returns:
        The application.

    Raises:
        SettingsError: The environment has bad values.
    """
    settings = settings or Settings.from_env()
    configure_logging(settings)
    app = Flask(__name__, static_folder=None)
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.session_interface = _NoSession()
    # An id may have two slashes in a row, or one at its end.
    app.url_map.merge_slashes = False
    app.url_map.strict_slashes = True

    writer = Database(settings.database_url, settings, role="tallymark_writer")
    reader = Database(settings.read_url, settings, role="tallymark_reader", pool_size=settings.read_pool_size)
    # Never the replica: it may learn late that a token was revoked.
    tokens = Tokens(settings.crawler_api_tokens, writer, cache_seconds=settings.token_cache_seconds)
    add_handlers(app)
    add_health(app, writer, reader)
    add_progress(app, tokens, writer, settings.max_body_bytes)
    add_jobs(app, tokens, writer, reader, settings.max_body_bytes)
    add_commands(app, tokens, writer, settings.max_body_bytes)
    add_openapi(app)
    return app
