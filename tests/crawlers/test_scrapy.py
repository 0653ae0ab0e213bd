"""Scrapy spiders that report to Tallymark, each in a process of its own, on a real site."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.crawlers.conftest import Crawl, Tallymark, is_verified, wait_until
from tests.crawlers.site import Site
from tests.crawlers.spiders import LOOPS, PARSE, SPIDER

#: On a busy machine each start of Scrapy takes long.
pytestmark = pytest.mark.timeout(600)

StartCrawl = Callable[..., Crawl]


def test_a_crawl_counts_its_pages_requests_and_responses(tallymark: Tallymark, crawl: StartCrawl) -> None:
    """Its job is registered under the spider's name, and is finished in the end."""
    with Site(12) as site:
        crawl(tallymark.url, site.start).wait()
    job = tallymark.job("pages")
    assert (job["status"], job["progress"]["processedItems"]) == ("finished", 12)
    assert job["progress"]["itemsByType"] == {"Page": 12, "crawled pages": 12, "requests": 12, "responses 200": 12}
    assert (job["progress"]["stage"], job["progress"]["operationType"]) == ("crawling", "data_collection")


def test_items_of_one_page_count_each(tallymark: Tallymark, crawl: StartCrawl) -> None:
    """Even if they are equal, and for several classes."""
    parse = """
    def parse(self, response):
        yield from [Page("same"), Page("same"), Link("same"), Page("same"), {"a": 1}]
        yield from response.follow_all(css="a")
"""
    with Site(2) as site:
        crawl(tallymark.url, site.start, spider=SPIDER + parse, TALLYMARK_JOB_ID="crawl of {spider}").wait()
    job = tallymark.job("crawl of a spider")
    counts = job["progress"]["itemsByType"]
    assert (counts["Page"], counts["Link"], counts["items"]) == (6, 2, 2)
    assert job["progress"]["processedItems"] == 10


def test_items_that_come_from_no_page_count_too(tallymark: Tallymark, crawl: StartCrawl) -> None:
    """Items of Spider.start() and of an errback. An errback's exception is reported with the request's address."""
    parse = """
    async def start(self):
        yield Page("one")
        yield Page("two")
        yield scrapy.Request("http://127.0.0.1:1/", errback=self.failed)

    def failed(self, failure):
        yield Page("nobody there")
        raise LookupError("no page")
"""
    with Site(1) as site:
        crawl(tallymark.url, site.start, spider=SPIDER + parse, RETRY_ENABLED=False).wait()
    progress = tallymark.job("a spider")["progress"]
    assert progress["itemsByType"]["Page"] == progress["processedItems"] == 3
    assert progress["error"]["context"] == {"spider": "a spider", "url": "http://127.0.0.1:1/"}


def test_workers_of_a_job_count_each_item_once(tallymark: Tallymark, crawl: StartCrawl, tmp_path: Path) -> None:
    """Both crawl the same pages. By default the spool is beside Scrapy's own files."""
    settings = {"TALLYMARK_JOB_ID": "both", "TALLYMARK_SPOOL": ""}
    with Site(12) as site:
        crawl(tallymark.url, site.start, TALLYMARK_WORKER="a", **settings).wait()
        crawl(tallymark.url, site.start, TALLYMARK_WORKER="b", **settings).wait()
    job = tallymark.job("both")
    # The running totals are those of each worker: both have processed all items.
    assert (job["status"], job["progress"]["processedItems"]) == ("finished", 24)
    counts = job["progress"]["itemsByType"]
    assert (counts["Page"], counts["crawled pages"], counts["requests"]) == (12, 12, 24)
    assert (tmp_path / "crawl/.scrapy/tallymark").is_dir()


@pytest.mark.parametrize(("key", "pages"), [("parity", 2), ("url", 12), ("spider.by_parity", 2)])
def test_an_item_is_told_from_others_by_what_the_settings_say(
    tallymark: Tallymark, crawl: StartCrawl, key: str, pages: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a field or by a function; a class without the field has the default key."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    parse = PARSE.replace("yield from", 'yield Link("same")\n        yield from')
    with Site(12) as site:
        crawl(tallymark.url, site.start, spider=SPIDER + parse, TALLYMARK_ITEM_KEY=key).wait()
    counts = tallymark.counts("a spider")
    assert (counts["Page"], counts["Link"]) == (pages, 12)


def test_a_spider_has_its_job(tallymark: Tallymark, crawl: StartCrawl) -> None:
    """It sets stages, keeps a resume state, counts items of its own, and has all of that after a restart."""
    parse = """
    def parse(self, response):
        self.progress.stage("looking", operation="discovery", data_type="pages")
        assert self.progress.advance("seen", key=response.url) and self.progress.seen(response.url)
        self.progress.checkpoint({"at": response.url}, last_id="page 0")
        raise CloseSpider("shutdown")
"""
    with Site(3) as site:
        crawl(tallymark.url, site.start, spider=SPIDER + parse).wait()
        job = tallymark.job("a spider")
        assert job["status"] == "paused"
        assert job["resumeState"] == {"at": site.start}
        assert (job["progress"]["stage"], job["progress"]["operationType"]) == ("looking", "discovery")
        assert job["progress"]["itemsByType"]["seen"] == 1
        parse = """
    def parse(self, response):
        resume = self.progress.resume
        assert resume.state == {"at": response.url} and resume.last_processed_id == "page 0", resume
        assert self.progress.seen(response.url)
"""
        log = crawl(tallymark.url, site.start, spider=SPIDER + parse).wait()
    assert "Traceback" not in log, log
    assert tallymark.job("a spider")["status"] == "finished"


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
def test_a_crawl_that_an_operator_pauses_goes_on_where_it_was(
    tallymark: Tallymark, crawl: StartCrawl, tmp_path: Path, loop: dict[str, str], db: psycopg.Connection[Any]
) -> None:
    """With a JOBDIR no page is crawled twice, and none is skipped."""
    settings = {**loop, "JOBDIR": tmp_path / "jobdir", "TALLYMARK_SPOOL": ""}
    with Site(60, seconds=0.02) as site:
        crawling = crawl(tallymark.url, site.start, **settings)
        wait_until(lambda: len(site.served) > 5, "the first pages")
        tallymark.ask("pages", "pause")
        crawling.wait()
        job = tallymark.job("pages")
        assert (job["status"], job["command"]) == ("paused", None)
        assert 5 < job["progress"]["processedItems"] < 60
        assert job["progress"]["processedItems"] == len(site.served)
        assert list((tmp_path / "jobdir/tallymark").iterdir())
        crawl(tallymark.url, site.start, **settings).wait()
        assert sorted(site.served.values()) == [1] * 60
    job = tallymark.job("pages")
    assert (job["status"], job["progress"]["processedItems"]) == ("finished", 60)
    assert is_verified(db, "pages")


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
def test_a_crawl_that_an_operator_cancels_ends(tallymark: Tallymark, crawl: StartCrawl, loop: dict[str, str]) -> None:
    """Its job is cancelled."""
    with Site(1000, seconds=0.02) as site:
        crawling = crawl(tallymark.url, site.start, **loop)
        wait_until(lambda: len(site.served) > 5, "the first pages")
        tallymark.ask("pages", "cancel")
        crawling.wait()
        assert len(site.served) < 1000
    job = tallymark.job("pages")
    assert (job["status"], job["command"]) == ("cancelled", None)
    assert job["progress"]["processedItems"] == len(site.served)


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
def test_a_command_that_waits_is_obeyed_as_soon_as_the_crawl_begins(
    tallymark: Tallymark, crawl: StartCrawl, loop: dict[str, str]
) -> None:
    """The command is in the first answer, before Scrapy's engine runs."""
    tallymark.register("pages")
    tallymark.ask("pages", "pause")
    with Site(1000, seconds=0.02) as site:
        crawl(tallymark.url, site.start, **loop).wait()
        assert len(site.served) < 100
    assert tallymark.job("pages")["status"] == "paused"


def test_a_crawl_that_is_told_to_stop_is_paused(tallymark: Tallymark, crawl: StartCrawl, tmp_path: Path) -> None:
    """A service manager sends SIGTERM, as Ctrl-C does SIGINT; the spider's state is reported, too."""
    parse = PARSE.replace("yield Page", 'self.state["pages"] = self.state.get("pages", 0) + 1; yield Page')
    with Site(1000, seconds=0.02) as site:
        crawling = crawl(tallymark.url, site.start, spider=SPIDER + parse, JOBDIR=tmp_path / "jobdir")
        wait_until(lambda: len(site.served) > 5, "the first pages")
        crawling.interrupt()
        crawling.wait()
    job = tallymark.job("a spider")
    assert (job["status"], job["progress"]["processedItems"]) == ("paused", len(site.served))
    assert job["resumeState"] == {"pages": len(site.served)}
