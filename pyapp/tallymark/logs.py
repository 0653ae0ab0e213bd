"""The log on standard error: one line per record, and a traceback for a defect.

`TALLYMARK_LOG_FORMAT` selects JSON for machines, or lines for people. Functions registered with `add_context` name the
request and the job of a line; they are called only when something is logged. Tokens are never logged, payloads only
at DEBUG.
"""

import logging
import sys
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from structlog.typing import EventDict

from tallymark.plain import plain, plain_json, plain_lines
from tallymark.settings import Settings

#: Members that our own calls pass in `extra`; the other members of a record belong to the logging module.
_EXTRA = ("request", "job", "status", "counts", "problems", "payload", "updates", "error", "route")

#: Returns members of a log line that say what is being worked on.
Context = Callable[[], Mapping[str, Any]]
_contexts: list[Context] = []


def add_context(context: Context) -> None:
    """Add members to every line. The function must not raise; adding the same one again changes nothing."""
    if context not in _contexts:
        _contexts.append(context)


def configure_logging(settings: Settings) -> None:
    """Log what this package logs to standard error, at the level and in the format of the settings."""
    logger = logging.getLogger("tallymark")
    logger.setLevel(settings.log_level.upper())
    logger.propagate = False
    handler = logging.StreamHandler(sys.stderr)
    as_json = settings.log_format == "json"
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.ExtraAdder(allow=_EXTRA),
                _add_context,
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *(_JSON if as_json else _CONSOLE),
            ],
        )
    )
    logger.handlers = [handler]


def _add_context(_logger: object, _method: str, event: EventDict) -> EventDict:
    for context in _contexts:
        for name, value in context().items():
            event.setdefault(name, value)
    return {name: value for name, value in event.items() if value not in (None, "")}


def _in_order(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Begin with the members that every line has."""
    first = {name: event.pop(name) for name in ("time", "level", "logger", "message") if name in event}
    return {**first, **event}


def _line(_logger: object, _method: str, event: EventDict) -> str:
    """Return a line for people: time, level, message, then the other members."""
    traceback = event.pop("exception", "")
    event.pop("logger", None)
    head = f"{event.pop('time')} {event.pop('level').upper()} {plain(event.pop('event'))}"
    known = "".join(f" {name}={value!r}" for name, value in event.items())
    return f"{head}{known}" + (f"\n{plain_lines(traceback)}" if traceback else "")


def _json(_logger: object, _method: str, event: EventDict) -> str:
    """Return a line for machines, which people see in a terminal, too."""
    return plain_json(event, default=str)


_JSON = (
    structlog.processors.dict_tracebacks,
    structlog.processors.EventRenamer("message"),
    _in_order,
    _json,
)
_CONSOLE = (structlog.processors.format_exc_info, _line)
