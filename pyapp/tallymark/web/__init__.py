"""Tallymark over HTTP: a WSGI application that any WSGI server can run.

gunicorn 'tallymark.web:create_app()'
"""

import secrets

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from tallymark.logs import add_context, configure_logging
from tallymark.settings import Settings
from tallymark.web.auth.tokens import Tokens
from tallymark.web.db.pool import Database
from tallymark.web.db.replica import Reader
from tallymark.web.http.problems import add_handlers, request_context
from tallymark.web.live import add_live
from tallymark.web.pages import Sessions, add_dashboard
from tallymark.web.routes.commands import add_commands
from tallymark.web.routes.health import add_health
from tallymark.web.routes.jobs import add_jobs
from tallymark.web.routes.openapi import add_openapi
from tallymark.web.routes.progress import add_progress
from tallymark.web.telemetry.measures import add_measures
from tallymark.web.telemetry.metrics import add_metrics
from tallymark.web.telemetry.traces import add_traces

__all__ = ["create_app"]


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
    add_context(request_context)
    app = Flask(__name__, static_folder=None)
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    # Without a key of their own, the sessions end with this process, and no other one knows them.
    secret_key = settings.secret_key or secrets.token_hex()
    Sessions.add_to(app, secret_key)
    # An id may have two slashes in a row, or one at its end.
    app.url_map.merge_slashes = False
    app.url_map.strict_slashes = True

    writer = Database(settings.database_url, settings, role="tallymark_writer")
    primary = _to_read(settings.database_url, settings)
    replica = _to_read(settings.database_read_url, settings) if settings.database_read_url else None
    reader = Reader(primary, replica, most_lag=settings.max_replica_lag)
    # Never the replica: it may learn late that a token was revoked.
    tokens = Tokens(
        settings.crawler_api_tokens, writer, cache_seconds=settings.token_cache_seconds, secret_key=secret_key
    )
    add_handlers(app)
    add_health(app, writer, reader)
    add_progress(app, tokens, writer, settings.max_body_bytes)
    add_jobs(app, tokens, writer, reader, settings.max_body_bytes)
    add_commands(app, tokens, writer, settings.max_body_bytes)
    add_openapi(app)
    add_live(app, tokens, reader, settings)
    add_dashboard(app, tokens, writer, reader)
    pools = {"write": writer, "read": primary} | ({"replica": replica} if replica else {})
    add_metrics(app, tokens, settings, pools, reader)
    # Around the gate of add_live: to wait there is part of what a crawler waits.
    add_measures(app, tokens, reader)
    add_traces(app, (writer, primary, *([replica] if replica else [])), lambda: request_context().get("job"))
    if settings.trusted_proxies:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]  # as Flask's documentation has it
            app.wsgi_app, x_for=settings.trusted_proxies, x_proto=settings.trusted_proxies
        )
    return app


def _to_read(url: str | None, settings: Settings) -> Database:
    return Database(url, settings, role="tallymark_reader", pool_size=settings.read_pool_size)
