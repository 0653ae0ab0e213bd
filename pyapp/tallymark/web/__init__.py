"""Tallymark over HTTP: a WSGI application that any WSGI server can run.

gunicorn 'tallymark.web:create_app()'
"""

import secrets

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from tallymark.logs import add_context, configure_logging
from tallymark.settings import Settings
from tallymark.web.auth.sessions import LIFETIME, Sessions
from tallymark.web.auth.tokens import Tokens
from tallymark.web.db.merging import BRIEF_CALLS, Merger
from tallymark.web.db.patience import Patience
from tallymark.web.db.pool import Database
from tallymark.web.db.readiness import Readiness
from tallymark.web.db.replica import Reader
from tallymark.web.db.share import Share
from tallymark.web.http.admission import AdmissionQueue, QueuedApp
from tallymark.web.http.answers import add_handlers, request_context
from tallymark.web.http.bodies import Bodies
from tallymark.web.live import add_live
from tallymark.web.pages.dashboard import add_dashboard
from tallymark.web.pages.documents import add_assets
from tallymark.web.pages.openapi import add_openapi
from tallymark.web.pages.sign_in import add_sign_in
from tallymark.web.routes.health import add_health
from tallymark.web.routes.jobs import add_jobs
from tallymark.web.routes.lists import NEVER_REPORTED, add_lists
from tallymark.web.routes.progress import add_progress, read_early
from tallymark.web.telemetry.counters import add_counters, counters
from tallymark.web.telemetry.metrics import add_metrics
from tallymark.web.telemetry.traces import add_traces
from tallymark.web.telemetry.updates import UpdateLog

__all__ = ["create_app"]


def create_app(settings: Settings | None = None) -> Flask:
    """Make the application. Nothing is connected before the first request.

    Args:
        settings: All settings; None takes them from the environment.

    Returns:
        The application. Its `extensions["tallymark.live"].stop()` ends all event streams: a server calls it when it
        stops, because it would otherwise wait for them.

    Raises:
        SettingsError: The environment has invalid values.
    """
    settings = settings or Settings.from_env()
    configure_logging(settings)
    add_context(request_context)
    app = Flask(__name__, static_folder=None)
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.config[NEVER_REPORTED] = b"%d" % settings.never_reported_after
    # Without a configured key, sessions end with this process, and no other process accepts them.
    secret_key = settings.secret_key or secrets.token_hex()
    Sessions.add_to(app, secret_key)
    # An id may have two slashes in a row, or one at its end.
    app.url_map.merge_slashes = False
    app.url_map.strict_slashes = True

    queue = AdmissionQueue(settings.blocking_threads, max_waiting=settings.max_waiting, max_wait=settings.max_wait)
    # What the pools may have of the primary's connections.
    share = Share()
    # A quarter of the writing connections is for calls that may wait for jobs which others hold.
    for_held = max(1, settings.pool_size // 4)
    for_others = max(1, settings.pool_size - for_held)
    writer = _writing_pool(settings, for_others, share, queue)
    patient = _writing_pool(settings, for_held, share, queue)
    primary = _reading_pool(settings.database_url, settings, share, queue)
    replica = (
        _reading_pool(settings.database_read_url, settings, Share(), queue) if settings.database_read_url else None
    )
    reader = Reader(primary, replica, max_lag=settings.max_replica_lag)
    # Tokens are never read from the replica: it may learn late that one was revoked.
    tokens = Tokens(
        settings.crawler_api_tokens,
        writer,
        cache_seconds=settings.token_cache_seconds,
        secret_key=secret_key,
        session_seconds=LIFETIME.total_seconds(),
    )
    patience = Patience(
        writer,
        patient,
        connections=for_held,
        max_waiting=settings.max_waiting // 4,
        max_wait=settings.max_wait,
        lock_timeout=settings.lock_timeout,
    )
    merger = Merger(
        writer,
        patience,
        single_lines=max(1, for_others - 1 - BRIEF_CALLS),
        max_waiting=max(1, settings.max_waiting // 2),
        max_wait=settings.max_wait,
        wake=queue.wake,
        woken=queue.woken,
        seen=counters.group_size.observe,
        register=settings.register_on_first_report,
    )
    bodies = Bodies(settings)
    add_handlers(app)
    readiness = Readiness(writer, reader)
    add_health(app, readiness, reader)
    add_progress(app, tokens, merger, UpdateLog(writer), queue, bodies)
    add_jobs(app, tokens, writer, patience, reader, queue, bodies)
    add_lists(app, tokens, reader)
    add_live(app, tokens, reader, queue, settings.streams)
    add_assets(app)
    add_sign_in(app, tokens, writer)
    add_dashboard(app, tokens, reader)
    add_openapi(app)
    pools = {"write": writer, "write_held": patient, "read": primary} | ({"replica": replica} if replica else {})
    add_metrics(app, tokens, settings, (queue, merger, patience), bodies, pools, reader, readiness)

    # From the inside out: what a request waits in the queue is part of its latency, and of its trace.
    queued = QueuedApp(app.wsgi_app, queue, read_early(tokens, bodies, merger), bodies.discard)
    app.wsgi_app = bodies.around(queued)  # type: ignore[assignment, method-assign]  # as Flask's documentation has it
    add_counters(app, tokens, reader)
    add_traces(app, pools.values(), lambda: request_context().get("job"))
    if settings.trusted_proxies:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=settings.trusted_proxies, x_proto=settings.trusted_proxies
        )
    return app


def _writing_pool(settings: Settings, pool_size: int, share: Share, queue: AdmissionQueue) -> Database:
    return Database(
        settings.database_url,
        settings,
        role="tallymark_writer",
        pool_size=pool_size,
        share=share,
        waiting=queue.outside,
    )


def _reading_pool(url: str | None, settings: Settings, share: Share, queue: AdmissionQueue) -> Database:
    return Database(
        url,
        settings,
        role="tallymark_reader",
        pool_size=settings.read_pool_size,
        share=share,
        waiting=queue.outside,
    )
