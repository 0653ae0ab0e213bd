"""The client's log, made safe against the log handlers of the crawl.

A handler may raise, and it may report to the job. Neither breaks the crawl or ends a thread of the client. What a
handler raises is shown once on standard error. The client logs nothing about a report that a handler makes, because the
handler would report that, too.
"""

import logging
import sys
import threading
from contextlib import suppress
from typing import Any

_logger = logging.getLogger("tallymark.client")
#: The threads of the client have names that begin like this.
THREADS = "tallymark-"


class _Here(threading.local):
    """Whether this thread is in a log handler."""

    is_logging = False


class Log:
    """Logs under the name `tallymark.client`; never raises an Exception."""

    def __init__(self) -> None:
        self._here = _Here()
        self._has_failed = False

    def log(self, level: int, message: str, *args: object, **options: Any) -> None:  # noqa: ANN401 - as logging has them
        """Log a message; nothing is logged from within a log handler."""
        if self._here.is_logging or not _logger.isEnabledFor(level):
            return
        try:
            self._here.is_logging = True
            _logger.log(level, message, *args, stacklevel=3, **options)
        except Exception as error:  # noqa: BLE001 - the handler is the crawl's
            self._tell(error)
        except BaseException as error:
            if not threading.current_thread().name.startswith(THREADS):
                raise
            self._tell(error)
        finally:
            self._here.is_logging = False

    def debug(self, message: str, *args: object) -> None:
        """Log at DEBUG."""
        self.log(logging.DEBUG, message, *args)

    def info(self, message: str, *args: object) -> None:
        """Log at INFO."""
        self.log(logging.INFO, message, *args)

    def warning(self, message: str, *args: object) -> None:
        """Log at WARNING."""
        self.log(logging.WARNING, message, *args)

    def error(self, message: str, *args: object, exc_info: BaseException | None = None) -> None:
        """Log at ERROR."""
        self.log(logging.ERROR, message, *args, exc_info=exc_info)

    def exception(self, message: str, *args: object) -> None:
        """Log at ERROR, with the exception that is handled."""
        self.log(logging.ERROR, message, *args, exc_info=True)

    def _tell(self, error: BaseException) -> None:
        if self._has_failed:
            return
        self._has_failed = True
        with suppress(Exception):
            sys.stderr.write(f"tallymark: a log handler raised {type(error).__name__}, which is ignored\n")


class Seldom:
    """Tells whether to log something that may happen often: the 1st, 10th, 100th time and so on.

    So a log handler that reports what the client logs cannot make the two answer each other for ever.
    """

    def __init__(self) -> None:
        self.times = 0
        self._next = 1

    def again(self) -> bool:
        """Count one more time; return whether to log it."""
        self.times += 1
        if self.times < self._next:
            return False
        self._next *= 10
        return True


log = Log()
