"""`tallymark up`: everything in one command, from an empty directory to a server that counts.

It starts PostgreSQL, installs the schema, makes a token and starts the web server; it stops them in the reverse order.
However this process ends, its children end with it.
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
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from tallymark.functions.session import without_libpq
from tallymark.schema.migrate import migrate
from tallymark.server import EmbeddedPostgres
from tallymark.server.granian import WebServer, check_port
from tallymark.server.private_files import keep_secret
from tallymark.server.web_address import WebAddress
from tallymark.settings import Settings

#: Ctrl-C, what service managers send, and a terminal that was closed.
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_WATCH_SECONDS = 0.2


class UpError(Exception):
    """The web server or the embedded PostgreSQL ended by itself."""


class _Hurry:
    """The handler of a second signal, while the parts are being stopped because of the first one."""

    def __init__(self) -> None:
        self.actions: list[Callable[[], None]] = []

    def __call__(self, _signal: int, _frame: FrameType | None) -> None:
        for action in self.actions:
            action()


def up(settings: Settings, *, host: str, port: int, say: Callable[[str], None]) -> None:
    """Run everything until a signal asks to stop; then stop everything, in order, and return.

    Must be called in the main thread, because it handles signals. Without a database URL the embedded PostgreSQL is
    started. `say` gets the output, a line at a time.
    """
    check_port(host, port)
    hurry = _Hurry()
    with _stopped_by_signals(hurry), ExitStack() as parts:
        settings, postgres = _with_database(settings, parts, hurry, say)
        settings = _with_secret_key(_with_token(settings))
        web = WebServer(settings, host, port, _environment(settings, embedded=postgres is not None))
        hurry.actions.insert(0, web.hurry)
        # Registered before it starts, so that it is stopped if its start is interrupted.
        parts.callback(web.stop)
        web.start()
        address = WebAddress(settings.data_dir)
        parts.callback(address.remove)
        with suppress(OSError):  # a server with a database and tokens of its own needs no data directory
            address.write(web.url)
        for line in _welcome(web.url, settings, embedded=postgres is not None):
            say(line)
        _watch(web, postgres)


@contextmanager
def _stopped_by_signals(hurry: _Hurry) -> Iterator[None]:
    """Turn the first signal into an orderly end of the block, also while the parts are still starting.

    After a signal the process is about to end, and the handlers stay: another signal must not break that off.
    """

    def first(_signal: int, _frame: FrameType | None) -> None:
        for number in _STOP_SIGNALS:
            signal.signal(number, hurry)
        # psycopg knows this exception, and cancels the statement that it waits for.
        raise KeyboardInterrupt

    before = {number: signal.signal(number, first) for number in _STOP_SIGNALS}
    try:
        yield
    except KeyboardInterrupt:
        # A stop that was asked for is no failure.
        return
    finally:
        if signal.getsignal(signal.SIGINT) is first:
            for number, handler in before.items():
                signal.signal(number, handler)


def _with_database(
    settings: Settings, parts: ExitStack, hurry: _Hurry, say: Callable[[str], None]
) -> tuple[Settings, EmbeddedPostgres | None]:
    """Add a database with the schema in it; return the embedded PostgreSQL, too, if that is what it is."""
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
    """Add a token for callers, if none is set; it is made once and kept beside the data."""
    if settings.crawler_api_tokens:
        return settings
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    token = keep_secret(settings.data_dir / "token", lambda: secrets.token_urlsafe(24))
    return replace(settings, crawler_api_tokens=(token,))


def _with_secret_key(settings: Settings) -> Settings:
    """Add a key for cookies, if none is set; it is kept, so that nobody has to sign in again after a restart."""
    if settings.secret_key:
        return settings
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = keep_secret(settings.data_dir / "secret-key", lambda: secrets.token_urlsafe(32))
    return replace(settings, secret_key=key)


def _environment(settings: Settings, *, embedded: bool) -> dict[str, str]:
    """Return the environment in which the application finds the database and the tokens.

    The URL of the embedded database says everything; another one may rely on libpq's variables.
    """
    return {
        **(without_libpq(os.environ) if embedded else os.environ),
        "DATABASE_URL": settings.database_url or "",
        "CRAWLER_API_TOKEN": ",".join(settings.crawler_api_tokens),
        "TALLYMARK_SECRET_KEY": settings.secret_key,
    }


def _welcome(url: str, settings: Settings, *, embedded: bool) -> list[str]:
    """Return what to print once it runs."""
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
        "Register a job, then report its progress:",
        "",
        _curl(f"{url}/api/internal/jobs", token, {"taskId": "job_1"}),
        _curl(f"{url}/api/internal/jobs/progress", token, update),
        "",
    ]


def _psql(data_dir: Path) -> str:
    """Return the command line that opens the embedded database, without the password."""
    # In a checkout, tallymark is not on the PATH.
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
    """Wait until a signal asks to stop, or raise an UpError if a part ends by itself."""
    while True:
        time.sleep(_WATCH_SECONDS)
        if not web.is_running():
            raise UpError("the web server ended unexpectedly; see its output above")
        if postgres is not None and postgres.process is not None and postgres.process.poll() is not None:
            raise UpError(f"the embedded PostgreSQL ended unexpectedly; the end of its log:\n{postgres.log_tail()}")
