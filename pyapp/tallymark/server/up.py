"""`tallymark up`: everything in one command, from an empty directory to a server that counts.

PostgreSQL first, then its schema, then a token, then the web server; stopped in the reverse order. Whatever way this
process ends, its children end with it.
"""

import json
import os
import secrets
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from tallymark.server import EmbeddedPostgres
from tallymark.server.granian import WebServer, check_port
from tallymark.server.private_file import keep_secret
from tallymark.settings import Settings

#: Ctrl-C, what service managers send, and a terminal that was closed.
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_WATCH_SECONDS = 0.2


class UpError(Exception):
    """A part of the running system ended by itself; the message says which."""


class _Hurry:
    """What a second signal does while the first one is being obeyed."""

    def __init__(self) -> None:
        self.actions: list[Callable[[], None]] = []

    def __call__(self, _signal: int, _frame: FrameType | None) -> None:
        for action in self.actions:
            action()


def up(settings: Settings, *, host: str, port: int, say: Callable[[str], None]) -> None:
    """Run everything until a signal asks to stop; then stop everything, in order, and return.

    Must be called in the main thread, because it handles signals.

    Args:
        settings: Where the data is, and all else. Without a database URL the embedded PostgreSQL is started.
        host: The address to listen on.
        port: The port to listen on.
        say: Told what people should read, a line at a time.

    Raises:
        WebServerError: The port is taken, or the web server does not start.
        EmbeddedPostgresError: The embedded PostgreSQL does not start.
        MigrationError: The schema cannot be installed.
        UpError: The web server or the embedded PostgreSQL ended by itself.
        OSError: The data directory cannot be used.
    """
    check_port(host, port)
    hurry = _Hurry()
    with _stopped_by_signals(hurry), ExitStack() as parts:
        settings, postgres = _with_database(settings, parts, hurry, say)
        settings = _with_secret_key(_with_token(settings))
        web = WebServer(settings, host, port, _environment(settings))
        hurry.actions.insert(0, web.hurry)
        # Registered before it starts: whatever interrupts the start finds something to stop.
        parts.callback(web.stop)
        web.start()
        for line in _welcome(web.url, settings, embedded=postgres is not None):
            say(line)
        _watch(web, postgres)


@contextmanager
def _stopped_by_signals(hurry: _Hurry) -> Iterator[None]:
    """Turn the first signal into an orderly end of the block, also while it is still starting things."""

    def first(_signal: int, _frame: FrameType | None) -> None:
        for number in _STOP_SIGNALS:
            signal.signal(number, hurry)
        # psycopg knows this exception, and cancels the statement that it waits for.
        raise KeyboardInterrupt

    before = {number: signal.signal(number, first) for number in _STOP_SIGNALS}
    try:
        yield
    except KeyboardInterrupt:
        # To be stopped is what was asked for, so it is no failure.
        return
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _with_database(
    settings: Settings, parts: ExitStack, hurry: _Hurry, say: Callable[[str], None]
) -> tuple[Settings, EmbeddedPostgres | None]:
    """Give the settings a database with the schema in it."""
    # Loaded when it is needed: it brings yoyo along, and the other commands start faster without.
    from tallymark.schema.migrate import migrate

    postgres = None
    url = settings.database_url
    if url is None:
        postgres = EmbeddedPostgres(settings.data_dir, report=say)
        hurry.actions.append(postgres.hurry)
        parts.callback(postgres.stop)
        postgres.start()
        url = postgres.url
    migrate(url, report=say)
    return replace(settings, database_url=url), postgres


def _with_token(settings: Settings) -> Settings:
    """Give the settings a token that callers may show; one that had to be made is kept beside the data."""
    if settings.crawler_api_tokens:
        return settings
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    token = keep_secret(_token_file(settings), lambda: secrets.token_urlsafe(24))
    return replace(settings, crawler_api_tokens=(token,))


def _with_secret_key(settings: Settings) -> Settings:
    """Give the settings a key for cookies; one that had to be made is kept: who signed in need not do so again."""
    if settings.secret_key:
        return settings
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = keep_secret(settings.data_dir / "secret-key", lambda: secrets.token_urlsafe(32))
    return replace(settings, secret_key=key)


def _token_file(settings: Settings) -> Path:
    return settings.data_dir / "token"


def _environment(settings: Settings) -> dict[str, str]:
    """Return the environment in which the application finds the database and the tokens."""
    return {
        **os.environ,
        "DATABASE_URL": settings.database_url or "",
        "CRAWLER_API_TOKEN": ",".join(settings.crawler_api_tokens),
        "TALLYMARK_SECRET_KEY": settings.secret_key,
    }


def _welcome(url: str, settings: Settings, *, embedded: bool) -> list[str]:
    """Return what people want to know once it runs."""
    token = settings.crawler_api_tokens[0]
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    update = {
        "taskId": "job_1",
        "status": "processing",
        "timestamp": now,
        "processedItems": 150,
        "totalItems": 500,
        "itemsByType": {"issues": 150},
    }
    return [
        "",
        f"Tallymark runs at {url}   (Ctrl-C stops it)",
        f"Token: {token}",
        *([f"Data:  {settings.data_dir}", f"SQL:   {_psql(settings.data_dir)}"] if embedded else []),
        "",
        "Register a job, then report on it:",
        "",
        _curl(f"{url}/api/internal/jobs", token, {"taskId": "job_1"}),
        _curl(f"{url}/api/internal/jobs/progress", token, update),
        "",
    ]


def _psql(data_dir: Path) -> str:
    """Return the line that opens the embedded database; the password is not in it."""
    # In a checkout it is not on the PATH.
    beside = Path(sys.executable).with_name("tallymark")
    command = str(beside) if beside.exists() and not shutil.which("tallymark") else "tallymark"
    return f'psql "$({shlex.join([command, "url", "--data", str(data_dir)])})"'


def _curl(url: str, token: str, body: dict[str, object]) -> str:
    return shlex.join(
        [
            *("curl", "-sS", "-w", r"\n%{http_code}\n", "-X", "POST", url, "-H", f"Authorization: Bearer {token}"),
            *("-H", "Content-Type: application/json", "-d", json.dumps(body, separators=(",", ":"))),
        ]
    )


def _watch(web: WebServer, postgres: EmbeddedPostgres | None) -> None:
    """Return never; raise when a part ends by itself, or when a signal asks to stop."""
    while True:
        time.sleep(_WATCH_SECONDS)
        if not web.is_running():
            raise UpError("the web server ended by itself; what it wrote above says why")
        if postgres is not None and postgres.process is not None and postgres.process.poll() is not None:
            raise UpError(f"the embedded PostgreSQL ended by itself; the end of its log:\n{postgres.log_tail()}")
