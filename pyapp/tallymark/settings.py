"""Every setting of Tallymark's, in one place: its name in the environment, its default and what it means.

`tallymark settings` prints this file's content as a table. No other module takes a setting from the
environment.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple, Self

import platformdirs

from tallymark import setting_values as values
from tallymark.setting_values import mask_password

__all__ = ["LOG_FORMATS", "LOG_LEVELS", "Row", "Settings", "SettingsError", "mask_password"]

LOG_LEVELS = ("debug", "info", "warning", "error", "critical")
LOG_FORMATS = ("console", "json")


class SettingsError(ValueError):
    """Settings with bad values. The message names each of them, and what is wrong with it."""


def _setting(
    name: str,
    parse: Callable[[str], Any],
    meaning: str,
    *,
    default: Any = MISSING,  # noqa: ANN401 - as `dataclasses.field` has it
    default_factory: Any = MISSING,  # noqa: ANN401
    shown: str | None = None,
) -> Any:  # noqa: ANN401 - stands in for the field's own type, as `dataclasses.field` does
    metadata = {"name": name, "parse": parse, "meaning": meaning, "shown": shown}
    if default_factory is not MISSING:
        return field(default_factory=default_factory, metadata=metadata)
    return field(default=default, metadata=metadata)


class Row(NamedTuple):
    """One line of the table of settings; all of it is text for people."""

    name: str
    value: str
    default: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings. The attributes have the values in effect; `rows` tells what each is for.

    Attributes:
        database_url: Where the database is, or None for the embedded one.
        database_read_url: A replica to read from, or None.
        max_replica_lag: Seconds that it may be behind.
        crawler_api_tokens: The tokens that callers may show beside those in the database.
        secret_key: What cookies are signed with; empty for one that is made anew.
        trusted_proxies: Proxies in front of the server.
        token_cache_seconds: Seconds for which a token of the database is remembered.
        pool_size: Connections to the database that each worker process keeps to write.
        read_pool_size: Connections that it keeps to read, beside those.
        pool_timeout: Seconds.
        max_body_bytes: Bytes.
        statement_timeout: Milliseconds; 0 is no limit.
        lock_timeout: Milliseconds; 0 is no limit.
        workers: Worker processes of the web server.
        blocking_threads: Requests that each worker process works on at once.
        max_connections: Connections of clients that each worker process takes at most.
        max_waiting: Requests that wait for their turn in each worker process at most.
        max_wait: Seconds that a request waits for its turn at most.
        streams: Open streams of events that each worker process has at most.
        metrics_open: Whether /metrics is for everybody.
        log_level: One of `LOG_LEVELS`.
        log_format: One of `LOG_FORMATS`.
        data_dir: Where the embedded database and the generated token are kept.
        url: The address of the server, for commands that speak HTTP.
        alert_urls: Where the watchdog sends alerts, as apprise takes it.
        public_url: The address under which people reach the dashboard, without a slash at the end; empty for none.
        debug: Whether a failed command shows a traceback.
    """

    database_url: str | None = _setting(
        "DATABASE_URL",
        values.url("postgresql", "postgres"),
        "The PostgreSQL database, 15 to 18, as a libpq URL.",
        default=None,
        shown="embedded",
    )
    database_read_url: str | None = _setting(
        "DATABASE_READ_URL",
        values.url("postgresql", "postgres"),
        "A replica to read from, as a libpq URL.",
        default=None,
        shown="= DATABASE_URL",
    )
    max_replica_lag: float = _setting(
        "TALLYMARK_MAX_REPLICA_LAG",
        values.seconds,
        "Seconds that the replica of DATABASE_READ_URL may be behind; further behind, or away, it is not read from.",
        default=10.0,
    )
    crawler_api_tokens: tuple[str, ...] = _setting(
        "CRAWLER_API_TOKEN",
        values.tokens,
        "Tokens that callers may show, comma separated; each opens everything. Without one, and without any that "
        "`tallymark token create` made, the endpoint answers 503; `tallymark up` makes one and keeps it.",
        default=(),
        shown="none",
    )
    secret_key: str = _setting(
        "TALLYMARK_SECRET_KEY",
        values.secret,
        "What the cookies of signed-in browsers are signed with: keep it secret, and the same for all processes. "
        "Without it, `tallymark up` makes one and keeps it, and whoever signed in to `tallymark serve` does so anew "
        "when it is started anew.",
        default="",
        shown="made",
    )
    trusted_proxies: int = _setting(
        "TALLYMARK_TRUSTED_PROXIES",
        values.whole(0, 10),
        "How many proxies in front of the server set X-Forwarded-For and X-Forwarded-Proto; with 0 these headers are "
        "not believed.",
        default=0,
    )
    token_cache_seconds: float = _setting(
        "TALLYMARK_TOKEN_CACHE_SECONDS",
        values.seconds,
        "Seconds for which each web worker remembers a token of the database: a revoked one is let in for as long.",
        default=5.0,
    )
    # Measured on 2 cores with 200 connections: 8 merge as many updates a second as 16, whose processes get into each
    # other's way.
    pool_size: int = _setting(
        "TALLYMARK_POOL_SIZE",
        values.whole(1, 1000),
        "Database connections that each web worker keeps to write.",
        default=8,
    )
    read_pool_size: int = _setting(
        "TALLYMARK_READ_POOL_SIZE",
        values.whole(1, 1000),
        "Database connections that it keeps to read, beside those.",
        default=4,
    )
    pool_timeout: float = _setting(
        "TALLYMARK_POOL_TIMEOUT",
        values.seconds,
        "Seconds that a request waits for a free connection, or for a new one, before it is answered 503.",
        default=5.0,
    )
    max_body_bytes: int = _setting(
        "TALLYMARK_MAX_BODY_BYTES",
        values.whole(1, 2**30),
        "The largest request body, in bytes; a larger one is answered 413.",
        default=1_048_576,
    )
    statement_timeout: int = _setting(
        "TALLYMARK_STATEMENT_TIMEOUT",
        values.whole(0, 2**31 - 1),
        "Milliseconds after which PostgreSQL ends a statement; 0 is never.",
        default=15_000,
    )
    lock_timeout: int = _setting(
        "TALLYMARK_LOCK_TIMEOUT",
        values.whole(0, 2**31 - 1),
        "Milliseconds that a statement waits for a lock; 0 is for ever.",
        default=5_000,
    )
    workers: int = _setting("TALLYMARK_WORKERS", values.whole(1, 256), "Web worker processes.", default=1)
    # Threads take turns in Python, and not in order: with 200 connections the slowest hundredth of empty requests took
    # 90 ms with 16 threads and 400 ms with 96.
    blocking_threads: int = _setting(
        "TALLYMARK_BLOCKING_THREADS",
        values.whole(1, 4096),
        "Requests that each web worker works on at once; others wait their turn. With many, the slowest answers get "
        "slower.",
        default=16,
    )
    max_connections: int = _setting(
        "TALLYMARK_MAX_CONNECTIONS",
        values.whole(16, 1_000_000),
        "Connections of clients that each web worker has open at most, idle ones too; others wait to be let in.",
        default=8192,
    )
    max_waiting: int = _setting(
        "TALLYMARK_MAX_WAITING",
        values.whole(0, 10_000),
        "Requests that wait for their turn in each web worker at most; those that come then are answered 503.",
        default=500,
    )
    max_wait: float = _setting(
        "TALLYMARK_MAX_WAIT",
        values.seconds,
        "Seconds that a request waits for its turn before it is answered 503.",
        default=5.0,
    )
    # Measured with 500 streams: each takes some 120 kB, and 200 to 250 while much is sent.
    streams: int = _setting(
        "TALLYMARK_STREAMS",
        values.whole(0, 4096),
        "Streams of /events that each web worker has open at most, a thread each; more are answered 503.",
        default=100,
    )
    metrics_open: bool = _setting(
        "TALLYMARK_METRICS_OPEN",
        values.flag,
        "1 lets everybody read /metrics, without a token.",
        default=False,
    )
    log_level: str = _setting(
        "TALLYMARK_LOG_LEVEL", values.one_of(LOG_LEVELS), ", ".join(LOG_LEVELS) + ".", default="info"
    )
    log_format: str = _setting(
        "TALLYMARK_LOG_FORMAT",
        values.one_of(LOG_FORMATS),
        "console is for people, json for machines.",
        default="console",
    )
    data_dir: Path = _setting(
        "TALLYMARK_DATA_DIR",
        values.path,
        "Where `tallymark up` keeps the embedded database and the token it makes.",
        default_factory=lambda: platformdirs.user_data_path("tallymark"),
    )
    url: str = _setting(
        "TALLYMARK_URL",
        values.url("http", "https"),
        "For `tallymark simulate`: the server.",
        default="http://127.0.0.1:8000",
    )
    alert_urls: tuple[str, ...] = _setting(
        "TALLYMARK_ALERT_URLS",
        values.urls,
        "Where `tallymark watchdog` sends alerts: URLs as apprise takes them, such as mailtos://, slack:// or "
        "jsons://, separated by blanks.",
        default=(),
        shown="none",
    )
    public_url: str = _setting(
        "TALLYMARK_PUBLIC_URL",
        values.url("http", "https"),
        "The address under which people reach the dashboard, for links in alerts.",
        default="",
        shown="none",
    )
    debug: bool = _setting("TALLYMARK_DEBUG", values.flag, "1 shows a traceback when a command fails.", default=False)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read all settings. A variable that is empty counts as not set.

        Args:
            environ: The environment to read.

        Returns:
            The settings.

        Raises:
            SettingsError: One or more have bad found; the message names every one.
        """
        found: dict[str, Any] = {}
        problems: list[str] = []
        for item in fields(cls):
            name = item.metadata["name"]
            text = environ.get(name, "").strip()
            if not text:
                continue
            try:
                found[item.name] = item.metadata["parse"](text)
            except ValueError as error:
                problems.append(f"{name} {error}")
        if "database_read_url" in found and not environ.get("DATABASE_URL", "").strip():
            problems.append("DATABASE_READ_URL needs DATABASE_URL beside it")
        if problems:
            raise SettingsError("bad settings: " + "; ".join(problems))
        return cls(**found)

    def rows(self) -> list[Row]:
        """Return the table of settings, with passwords and tokens masked."""
        return [
            Row(item.metadata["name"], _shown(getattr(self, item.name), item), _default(item), item.metadata["meaning"])
            for item in fields(self)
        ]


def _default(item: Field[Any]) -> str:
    """Return a field's default as people should read it."""
    if item.metadata["shown"] is not None:
        return str(item.metadata["shown"])
    if item.default is not MISSING:
        return _text(item.default)
    return str(item.default_factory()) if item.default_factory is not MISSING else ""


def _shown(value: object, item: Field[Any]) -> str:
    """Return a value as people should read it, without giving secrets away."""
    if value in (None, (), ""):
        return _default(item)
    if item.name in {"crawler_api_tokens", "alert_urls"} and isinstance(value, tuple):
        return ", ".join("****" for _ in value)
    if item.name == "secret_key":
        return "****"
    if item.name in {"database_url", "database_read_url"}:
        return mask_password(str(value))
    return _text(value)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return f"{value:g}" if isinstance(value, float) else str(value)
