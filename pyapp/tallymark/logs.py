"""The log: one line per record, followed by a traceback for a defect, on standard error.

Tokens and payloads never get into it above DEBUG.
"""

import json
import logging
import sys
from datetime import UTC, datetime

from tallymark.settings import Settings

#: Members of a record that our own calls add through `extra`, in the order in which they are written.
_EXTRA = ("request", "job")


def configure_logging(settings: Settings) -> None:
    """Send what this package logs to standard error, as the settings say. Doing it again changes nothing.

    Args:
        settings: The level and the format.
    """
    logger = logging.getLogger("tallymark")
    logger.setLevel(settings.log_level.upper())
    logger.propagate = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if settings.log_format == "json" else _ConsoleFormatter())
    logger.handlers = [handler]


class _ConsoleFormatter(logging.Formatter):
    """For people: time, level, message, then what is known about the request."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the line, without a traceback."""
        known = [f" {name}={record.__dict__[name]!r}" for name in _EXTRA if record.__dict__.get(name)]
        return super().formatMessage(record) + "".join(known)


class _JsonFormatter(logging.Formatter):
    """For machines: one JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, with the traceback as one of its members."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{name: record.__dict__[name] for name in _EXTRA if record.__dict__.get(name)},
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
