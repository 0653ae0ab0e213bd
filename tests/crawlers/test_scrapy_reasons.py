"""How a job ends for each reason for which Scrapy closes a spider, and what the next crawl counts then."""

import json
import resource
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from tests.crawlers.conftest import Crawl, Tallymark, is_verified, wait_until
from tests.crawlers.site import Site
from tests.crawlers.spiders import LOOPS, PARSE, PROGRAM, SPIDER
from tests.web.conftest import TOKEN

#: On a busy machine each start of Scrapy takes long.
pytestmark = pytest.mark.timeout(600)

StartCrawl = Callable[..., Crawl]

#: The reason, the job's status, and whether its message says the reason.
REASONS = [
    ("finished", "finished"),
    ("cancelled", "cancelled"),
    ("paused", "paused"),
    ("shutdown", "paused"),
    ("closespider_errorcount", "failed"),
    ("closespider_itemcount", "paused"),
    ("closespider_pagecount", "paused"),
    ("closespider_pagecount_no_item", "failed"),
    ("closespider_timeout", "paused"),
    ("closespider_timeout_no_item", "failed"),
    ("memusage_exceeded", "failed"),
    ("start_error", "failed"),
    ("bandwidth_exceeded", "paused"),
    ("x" * 5000, "paused"),
]
_WITHOUT_MESSAGE = {"finished", "cancelled", "paused", "shutdown"}

_CLOSED_FOR = """
class Closed(scrapy.Spider):
    def __init__(self, number, reason, **arguments):
        self.name = f"closed {number}"
        self.reason = reason
        super().__init__(**arguments)

    async def start(self):
        yield {"a": 1}
        yield scrapy.Request(SITE)

    def parse(self, response):
        raise CloseSpider(self.reason)

import json
run({}, *((Closed, {"number": number, "reason": reason}) for number, reason in enumerate(json.loads(sys.argv[5]))))
"""


def test_each_reason_gives_the_end_that_the_documents_say(
    tallymark: Tallymark, script: Callable[..., Crawl], tmp_path: Path, db: psycopg.Connection
) -> None:
    """Fourteen spiders in one process, each with a job of its own."""
    reasons = [reason for reason, _ in REASONS]
    with Site(1) as site:
        spool = str(tmp_path / "spool")
        script(PROGRAM + _CLOSED_FOR, tallymark.url, TOKEN, spool, site.start, json.dumps(reasons)).wait()
    for number, (reason, status) in enumerate(REASONS):
        job = tallymark.job(f"closed {number}")
        assert (reason, job["status"]) == (reason, status)
        assert job["progress"]["itemsByType"]["items"] == 1
        said = str(job["progress"].get("message", "")) + str(job["progress"].get("error", ""))
        assert (reason[:800] in said) == (reason not in _WITHOUT_MESSAGE)
        assert is_verified(db, f"closed {number}")


def test_the_documents_have_the_same_table() -> None:
    """Each reason has a row with its end."""
    text = (Path(__file__).parents[2] / "docs/crawlers/scrapy.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    ends = {"finished": "completed"}
    for reason, status in REASONS[:-2]:
        assert any(f"`{reason}`" in row and f"`{ends.get(status, status)}`" in row for row in rows), reason


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
def test_a_crawl_that_took_too_much_memory_has_failed_and_forgets_no_item(
    tallymark: Tallymark, crawl: StartCrawl, loop: dict[str, str]
) -> None:
    """The next crawl visits all pages, and the items of both are counted once."""
    # Linux counts what this process has had as the peak of its children, too.
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024 + 200
    hog = f'self.hog = "x" * {most}_000_000 if response.url.endswith("/5") else ""; yield Page'
    limit = {"MEMUSAGE_LIMIT_MB": most, "MEMUSAGE_CHECK_INTERVAL_SECONDS": 0.1, **loop}
    with Site(100, seconds=0.02) as site:
        crawl(tallymark.url, site.start, spider=SPIDER + PARSE.replace("yield Page", hog), **limit).wait()
        job = tallymark.job("a spider")
        assert job["status"] == "failed"
        assert "memusage_exceeded" in job["progress"]["error"]["message"]
        assert 0 < job["progress"]["processedItems"] == len(site.served) < 100
        crawl(tallymark.url, site.start, spider=SPIDER + PARSE, **loop).wait()
        assert len(site.served) == 100
    job = tallymark.job("a spider")
    assert (job["status"], job["progress"]["processedItems"]) == ("finished", 100)


@pytest.mark.parametrize(
    ("setting", "reason", "status"),
    [
        ({"CLOSESPIDER_TIMEOUT": 1}, "closespider_timeout", "paused"),
        ({"CLOSESPIDER_ITEMCOUNT": 5}, "closespider_itemcount", "paused"),
        ({"CLOSESPIDER_PAGECOUNT": 5}, "closespider_pagecount", "paused"),
    ],
    ids=["time", "items", "pages"],
)
def test_a_crawl_that_ends_by_a_limit_is_paused_and_goes_on_later(
    tallymark: Tallymark, crawl: StartCrawl, setting: dict[str, int], reason: str, status: str, tmp_path: Path
) -> None:
    """The limits are Scrapy's own. With a JOBDIR the next crawl goes on where this one was."""
    with Site(60, seconds=0.05) as site:
        crawl(tallymark.url, site.start, JOBDIR=tmp_path / "jobdir", **setting).wait()
        job = tallymark.job("pages")
        assert job["status"] == status
        assert reason in job["progress"]["message"]
        assert 0 < job["progress"]["processedItems"] == len(site.served) < 60
        crawl(tallymark.url, site.start, JOBDIR=tmp_path / "jobdir").wait()
        assert sorted(site.served.values()) == [1] * 60
    job = tallymark.job("pages")
    assert (job["status"], job["progress"]["processedItems"]) == ("finished", 60)


def test_a_setting_says_how_a_job_ends(tallymark: Tallymark, crawl: StartCrawl) -> None:
    """For a reason of the crawl's own, such as that all news were found."""
    parse = PARSE + '        raise CloseSpider("all news were found")\n'
    with Site(3) as site:
        ends = '{"all news were found": "completed"}'
        crawl(tallymark.url, site.start, spider=SPIDER + parse, TALLYMARK_ENDS=ends).wait()
        job = tallymark.job("a spider")
        assert job["status"] == "finished"
        assert "all news were found" in job["progress"]["message"]
        running = crawl(tallymark.url, site.start, spider=SPIDER + parse, TALLYMARK_ENDS='{"finished": "done"}')
        wait_until(lambda: not running.is_running(), "the spider to end", running.log)
    assert "TALLYMARK_ENDS has no such end: done; the ends are completed, paused, failed, cancelled" in (
        running.log.read_text()
    )


def test_what_handlers_of_the_end_report_counts(tallymark: Tallymark, crawl: StartCrawl) -> None:
    """The spider's method `closed`, and a handler that waits for something first."""
    parse = """
    @classmethod
    def from_crawler(cls, crawler, *args, **kwargs):
        spider = super().from_crawler(crawler, *args, **kwargs)
        crawler.signals.connect(spider.at_the_end, signal=scrapy.signals.spider_closed)
        return spider

    async def at_the_end(self):
        import asyncio
        await asyncio.sleep(0.5)
        self.progress.advance("after a while", 3)

    def parse(self, response):
        yield Page(response.url)

    def closed(self, reason):
        self.progress.advance("at once", 2)
"""
    with Site(1) as site:
        log = crawl(tallymark.url, site.start, spider=SPIDER + parse).wait()
    job = tallymark.job("a spider")
    counts = job["progress"]["itemsByType"]
    assert (job["status"], counts["at once"], counts["after a while"]) == ("finished", 2, 3)
    assert "after its end" not in log
    assert "Dumping Scrapy stats" in log
    assert "'tallymark/job_id': 'a spider'" in log


@pytest.mark.parametrize("queued", [False, True], ids=["in the same thread", "by a queue"])
def test_a_log_handler_that_reports_to_the_job_ends_with_it(
    tallymark: Tallymark, crawl: StartCrawl, queued: bool
) -> None:
    """It reports each line of the log, and goes on when the job has ended. A few warnings say so."""
    spider = """
import logging
import logging.handlers
import queue

class Reporting(logging.Handler):
    job = None

    def emit(self, record):
        if self.job is not None:
            self.job.report(lastLine=str(record.getMessage())[:200])

reporting = Reporting()
if QUEUED:
    lines = queue.SimpleQueue()
    listener = logging.handlers.QueueListener(lines, reporting)
    listener.start()
    logging.getLogger().addHandler(logging.handlers.QueueHandler(lines))
else:
    logging.getLogger().addHandler(reporting)

import atexit

@atexit.register
def later():
    for number in range(2000):
        logging.getLogger("mine").warning("line %d", number)
    if QUEUED:
        listener.stop()
    print("all lines are written", flush=True)
""".replace("QUEUED", str(queued))
    parse = """
    def parse(self, response):
        reporting.job = self.progress
        yield Page(response.url)
"""
    with Site(1) as site:
        log = crawl(tallymark.url, site.start, spider=spider + SPIDER + parse).wait()
    assert "all lines are written" in log
    assert "RecursionError" not in log
    # The 1st, 10th, 100th and 1000th report that came too late.
    assert 1 <= log.count("after its end") <= 5
    job = tallymark.job("a spider")
    assert (job["status"], job["progress"]["itemsByType"]["Page"]) == ("finished", 1)
    # A handler that reports the lines of its own requests would report for ever.
    assert job["lastSeq"] < 20
