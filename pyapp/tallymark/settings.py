"""Every setting of Tallymark: its name in the environment, its default, its values and what it means.

`tallymark settings` prints them. No other module reads a setting of Tallymark from the environment.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple, Self

import platformdirs

LOG_LEVELS = ("debug", "info", "warning", "error", "critical")
LOG_FORMATS = ("console", "json")


class SettingsError(ValueError):
    """Settings with bad values. The message names each of them, and says what it must be."""


# What a setting may be. Each function parses its text from the environment; a ValueError says what it must be.


def _whole(minimum: int, maximum: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = minimum - 1
        if not minimum <= number <= maximum:
            raise ValueError(f"must be a whole number from {minimum} to {maximum}")
        return number

    return parse


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= 3600:  # noqa: PLR2004 - an hour; this also refuses nan
        raise ValueError("must be a number of seconds, greater than 0 and at most 3600")
    return number


def _one_of(choices: tuple[str, ...]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return text.lower()

    return parse


def _flag(text: str) -> bool:
    answers = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if text.lower() not in answers:
        raise ValueError("must be 1 or 0")
    return answers[text.lower()]


def _tokens(text: str) -> tuple[str, ...]:
    found = tuple(token for part in text.split(",") if (token := part.strip()))
    # No HTTP header can carry other characters safely, so nobody could use such a token.
    if not all(re.fullmatch(r"[!-~]+", token) for token in found):
        raise ValueError("must be tokens of ASCII characters without spaces, separated by commas")
    return found


def _secret(text: str) -> str:
    if len(text) < 12:  # noqa: PLR2004 - too many to be found by trial
        raise ValueError("must have at least 12 characters, such as the output of `openssl rand -hex 32`")
    return text


def _url(*schemes: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not text.startswith(tuple(f"{scheme}://" for scheme in schemes)):
            raise ValueError(f"must be a URL that starts with {schemes[0]}://")
        return text

    return parse


def _urls(text: str) -> tuple[str, ...]:
    found = tuple(url for part in re.split(r"[\s,]+(?=[a-z][a-z0-9+.-]*://)", text) if (url := part.strip(" ,")))
    if not all(re.match(r"[A-Za-z][A-Za-z0-9+.-]*://.", url) for url in found):
        raise ValueError("must be URLs such as mailtos://user:password@example.com, separated by spaces")
    return found


def _path(text: str) -> Path:
    return Path(text).expanduser()


def _setting(
    name: str,
    default: Any,  # noqa: ANN401 - as `dataclasses.field` has it
    parse: Callable[[str], Any],
    meaning: str,
    *,
    shown: str | None = None,
) -> Any:  # noqa: ANN401 - stands in for the field's own type, as `dataclasses.field` does
    """A setting; `shown` is its default as people read it, where that is not the default's own text."""
    metadata = {"name": name, "parse": parse, "meaning": meaning, "shown": shown}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


class Row(NamedTuple):
    """One line of the table of settings; all of it is text for people."""

    name: str
    value: str
    default: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings. The attributes have the values in effect; `rows` gives the table with what each one means."""

    database_url: str | None = _setting(
        "DATABASE_URL",
        None,
        _url("postgresql", "postgres"),
        "The PostgreSQL database, version 15 to 18, as a libpq URL.",
        shown="embedded",
    )
    database_read_url: str | None = _setting(
        "DATABASE_READ_URL",
        None,
        _url("postgresql", "postgres"),
        "A replica to read from, as a libpq URL.",
        shown="= DATABASE_URL",
    )
    max_replica_lag: float = _setting(
        "TALLYMARK_MAX_REPLICA_LAG",
        10.0,
        _seconds,
        "Seconds that the replica of DATABASE_READ_URL may lag behind. While it lags more, or is away, the primary is "
        "read from.",
    )
    crawler_api_tokens: tuple[str, ...] = _setting(
        "CRAWLER_API_TOKEN",
        (),
        _tokens,
        "Tokens for callers, separated by commas; each of them may do everything. With none here and none from "
        "`tallymark token create`, the endpoint answers 503; `tallymark up` makes one and keeps it.",
        shown="none",
    )
    secret_key: str = _setting(
        "TALLYMARK_SECRET_KEY",
        "",
        _secret,
        "The key that signs the cookies of signed-in browsers. Keep it secret, and the same for all processes. If it "
        "is not set, `tallymark up` makes one and keeps it; `tallymark serve` makes one at each start, and everybody "
        "has to sign in again.",
        shown="made",
    )
    trusted_proxies: int = _setting(
        "TALLYMARK_TRUSTED_PROXIES",
        0,
        _whole(0, 10),
        "How many proxies in front of the server set X-Forwarded-For and X-Forwarded-Proto. With 0 these headers are "
        "ignored.",
    )
    token_cache_seconds: float = _setting(
        "TALLYMARK_TOKEN_CACHE_SECONDS",
        5.0,
        _seconds,
        "Seconds that each web worker remembers a token of the database. A revoked token works for as long.",
    )
    # Measured on 2 cores with 200 connections: 8 merge as many updates a second as 16, whose processes compete for the
    # processor.
    pool_size: int = _setting(
        "TALLYMARK_POOL_SIZE",
        8,
        _whole(1, 1000),
        "Database connections for writing in each web worker; 1 counts as 2. A quarter of them are for calls that wait "
        "for jobs which others hold.",
    )
    read_pool_size: int = _setting(
        "TALLYMARK_READ_POOL_SIZE", 4, _whole(1, 1000), "Database connections for reading in each web worker."
    )
    pool_timeout: float = _setting(
        "TALLYMARK_POOL_TIMEOUT",
        5.0,
        _seconds,
        "Seconds that a request waits for a database connection before it is answered 503.",
    )
    max_body_bytes: int = _setting(
        "TALLYMARK_MAX_BODY_BYTES",
        1_048_576,
        _whole(1, 2**30),
        "The largest request body in bytes, decompressed. A larger one is answered 413.",
    )
    body_timeout: float = _setting(
        "TALLYMARK_BODY_TIMEOUT",
        10.0,
        _seconds,
        "Seconds within which a request's body must arrive. If it does not, the answer is 408, and the connection is "
        "closed.",
    )
    body_memory: int = _setting(
        "TALLYMARK_BODY_MEMORY",
        67_108_864,
        _whole(1, 2**40),
        "Bytes that the bodies of requests may take together in each web worker; those up to 16 KiB are not counted. "
        "A request whose body does not fit is answered 503.",
    )
    statement_timeout: int = _setting(
        "TALLYMARK_STATEMENT_TIMEOUT",
        15_000,
        _whole(0, 2**31 - 1),
        "Milliseconds after which PostgreSQL cancels a statement; 0 means never.",
    )
    lock_timeout: int = _setting(
        "TALLYMARK_LOCK_TIMEOUT",
        2_000,
        _whole(0, 2**31 - 1),
        "Milliseconds that a statement waits for a lock, such as that of a job which a SQL caller holds, before the "
        "request is answered 503; 0 means without limit.",
    )
    register_on_first_report: bool = _setting(
        "TALLYMARK_REGISTER_ON_FIRST_REPORT",
        False,
        _flag,
        "With 1, an update of an unknown job registers the job, without attributes. With 0 it is answered 404.",
    )
    workers: int = _setting("TALLYMARK_WORKERS", 1, _whole(1, 256), "Web worker processes.")
    # Threads take turns in Python, and not in order: with 200 connections the slowest hundredth of empty requests took
    # 90 ms with 16 threads and 400 ms with 96.
    blocking_threads: int = _setting(
        "TALLYMARK_BLOCKING_THREADS",
        16,
        _whole(1, 4096),
        "Requests that each web worker works on at once; others wait. Requests that wait for a body or for the "
        "database do not count. The more there are, the slower are the slowest answers.",
    )
    max_connections: int = _setting(
        "TALLYMARK_MAX_CONNECTIONS",
        8192,
        _whole(16, 1_000_000),
        "Client connections that each web worker accepts, idle ones included. Further clients wait until one closes.",
    )
    max_waiting: int = _setting(
        "TALLYMARK_MAX_WAITING",
        500,
        _whole(0, 10_000),
        "Requests that may wait in each web worker to be worked on; half as many updates may wait to be merged, and a "
        "quarter as many for jobs that somebody holds. Further ones are answered 503.",
    )
    max_wait: float = _setting(
        "TALLYMARK_MAX_WAIT",
        5.0,
        _seconds,
        "Seconds that a request waits in each of these lines before it is answered 503.",
    )
    # Measured with 500 streams: each takes some 120 kB, and 200 to 250 while much is sent.
    streams: int = _setting(
        "TALLYMARK_STREAMS",
        100,
        _whole(0, 4096),
        "Streams of /events that each web worker serves, with a thread for each. Further ones are answered 503.",
    )
    never_reported_after: int = _setting(
        "TALLYMARK_NEVER_REPORTED_AFTER",
        3600,
        _whole(0, 31_536_000),
        "Seconds after its registration by which a job must be reported on; after that it needs attention. 0 is never.",
    )
    metrics_open: bool = _setting(
        "TALLYMARK_METRICS_OPEN", False, _flag, "With 1, everybody may read /metrics without a token."
    )
    log_level: str = _setting(
        "TALLYMARK_LOG_LEVEL", "info", _one_of(LOG_LEVELS), f"The lowest level that is logged: {', '.join(LOG_LEVELS)}."
    )
    log_format: str = _setting(
        "TALLYMARK_LOG_FORMAT", "console", _one_of(LOG_FORMATS), "console is for people, json for machines."
    )
    data_dir: Path = _setting(
        "TALLYMARK_DATA_DIR",
        lambda: platformdirs.user_data_path("tallymark"),
        _path,
        "Where `tallymark up` keeps the embedded database and the token and key that it makes.",
    )
    url: str = _setting(
        "TALLYMARK_URL",
        "",
        _url("http", "https"),
        "The server that `tallymark simulate` uses.",
        shown="that of `tallymark up`",
    )
    alert_urls: tuple[str, ...] = _setting(
        "TALLYMARK_ALERT_URLS",
        (),
        _urls,
        "Where `tallymark watchdog` sends alerts: Apprise URLs, such as mailtos://, slack:// or jsons://, separated by "
        "spaces.",
        shown="none",
    )
    public_url: str = _setting(
        "TALLYMARK_PUBLIC_URL", "", _url("http", "https"), "The dashboard's address, for links in alerts.", shown="none"
    )
    debug: bool = _setting("TALLYMARK_DEBUG", False, _flag, "With 1, a command that fails shows a traceback.")

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read all settings from the environment. A variable that is empty counts as not set.

        Args:
            environ: The environment to read.

        Returns:
            The settings.

        Raises:
            SettingsError: Some settings have bad values; the message names all of them.
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
            problems.append("DATABASE_READ_URL is set, but DATABASE_URL is not")
        if problems:
            raise SettingsError("bad settings: " + "; ".join(problems))
        return cls(**found)

    def rows(self) -> list[Row]:
        """Return the table of settings, with passwords and tokens masked."""
        return [
            Row(item.metadata["name"], _shown(getattr(self, item.name), item), _default(item), item.metadata["meaning"])
            for item in fields(self)
        ]


def mask_password(url: str) -> str:
    """Return a libpq URL that may be shown: its password, wherever it stands, is replaced by stars."""
    url = re.sub(r"^(\w+://[^/?#:]*):[^/?#]*@", r"\1:****@", url)
    return re.sub(r"([?&](?:ssl)?password=)[^&]*", r"\1****", url)


def _default(item: Field[Any]) -> str:
    """Return a setting's default for people."""
    if item.metadata["shown"] is not None:
        return str(item.metadata["shown"])
    return _text(item.default_factory() if item.default_factory is not MISSING else item.default)


def _shown(value: object, item: Field[Any]) -> str:
    """Return a setting's value for people, without secrets."""
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
