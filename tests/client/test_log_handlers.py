"""Logging and reporting meet: log handlers that report on the job, and what the client itself writes into the log."""

import logging
import logging.handlers
import queue

import pytest
import urllib3
from tests.client.conftest import Look, Make
from tests.web.conftest import Web

from tallymark import Job


class Reporting(logging.Handler):
    """Reports each line of the log."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.job = job

    def emit(self, record: logging.LogRecord) -> None:
        """Report on the job, whether it has ended or not."""
        self.job.advance("lines")
        self.job.report(lastLine=record.getMessage()[:200])


def _late(caplog: pytest.LogCaptureFixture) -> int:
    return sum("after its end" in record.getMessage() for record in caplog.records)


def test_a_log_handler_that_reports_does_not_call_itself_without_end(
    make_client: Make, name: str, look: Look, caplog: pytest.LogCaptureFixture
) -> None:
    """Each report after the end would be a line in the log, and so the next report."""
    logger = logging.getLogger("tallymark.client")
    with make_client().job(name) as job:
        handler = Reporting(job)
        logger.addHandler(handler)
        logging.getLogger("tallymark.client").warning("a line")
    try:
        for number in range(1000):
            logger.warning("line %d", number)
    finally:
        logger.removeHandler(handler)
    assert look.counts(name)[0] == {"lines": 1}
    # The 1st, the 10th, the 100th and the 1000th of 2,008.
    assert _late(caplog) == 4


def test_a_log_handler_in_another_thread_does_not_call_itself_without_end(
    make_client: Make, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The end of its thread handles all lines that wait, so it would never come."""
    logger = logging.getLogger("tallymark.client")
    with make_client().job(name) as job:
        pass
    lines: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    listener = logging.handlers.QueueListener(lines, Reporting(job))
    handler = logging.handlers.QueueHandler(lines)
    logger.addHandler(handler)
    listener.start()
    try:
        logger.warning("a line")
        listener.stop()
    finally:
        logger.removeHandler(handler)
    assert 1 <= _late(caplog) <= 2


def test_the_clients_requests_write_no_debug_lines(
    make_client: Make, name: str, web: Web, caplog: pytest.LogCaptureFixture
) -> None:
    """A crawl's own requests do."""
    caplog.set_level(logging.DEBUG)
    with make_client().job(name) as job:
        job.advance("pages")
        assert job.flush()
    assert [record for record in caplog.records if record.name.startswith("urllib3")] == []
    urllib3.PoolManager().request("GET", f"http://127.0.0.1:{web.port}/healthz")
    assert "/healthz" in caplog.text
