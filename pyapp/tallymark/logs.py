"""The log: structured, one line per record, followed by a traceback for a defect, on standard error.

`TALLYMARK_LOG_FORMAT` makes it JSON for machines, or a line for people. What each line is about, such as the request
and the job, is asked of whoever has registered with `add_context`, and only when something is logged. Tokens and
payloads never get into it above DEBUG.
"""

import logging
import sys
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from structlog.typing import EventDict

from tallymark.settings import Settings

#: What our own calls add to a record through `extra`; other members of a record are the library's.
_EXTRA = ("request", "job", "status", "counts", "problems", "payload", "updates", "error", "route")

#: Says what is being worked on.
Context = Callable[[], Mapping[str, Any]]
_contexts: list[Context] = []


def add_context(context: Context) -> None:
    """Have every line say what is being worked on. Doing it again with the same function changes nothing.

    Args:
        context: Called when something is logged; gives members of the line, and must not fail.
    """
    if context not in _contexts:
        _contexts.append(context)


def configure_logging(settings: Settings) -> None:
    """Send what this package logs to standard error, as the settings say. Doing it again changes nothing.

    Args:
        settings: The level and the format.
    """
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
    """Begin with what every line has."""
    first = {name: event.pop(name) for name in ("time", "level", "logger", "message") if name in event}
    return {**first, **event}


def _line(_logger: object, _method: str, event: EventDict) -> str:
    """Write a line for people: time, level, message, then what is known."""
    traceback = event.pop("exception", "")
    event.pop("logger", None)
    head = f"{event.pop('time')} {event.pop('level').upper()} {event.pop('event')}"
    known = "".join(f" {name}={value!r}" for name, value in event.items())
    return f"{head}{known}" + (f"\n{traceback}" if traceback else "")


_JSON = (
    structlog.processors.dict_tracebacks,
    structlog.processors.EventRenamer("message"),
    _in_order,
    structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
)
_CONSOLE = (structlog.processors.format_exc_info, _line)
