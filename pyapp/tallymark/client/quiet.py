"""Keeps the debug lines of the client's own requests out of the crawl's log.

A crawl that logs at DEBUG, as Scrapy does by default, would have two lines of urllib3 for each update. A log handler
that reports what is logged would even cause a further update with each. The crawl's own use of urllib3 is logged.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_here = threading.local()


def _is_wanted(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG or not getattr(_here, "is_quiet", False)


@contextmanager
def quiet() -> Iterator[None]:
    """Drop the debug lines of urllib3 in this thread."""
    _here.is_quiet = True
    try:
        yield
    finally:
        _here.is_quiet = False


# A filter of a logger does not see what is logged under its children, so each logger has its own.
for _name in ("urllib3.connectionpool", "urllib3.util.retry"):
    logging.getLogger(_name).addFilter(_is_wanted)
