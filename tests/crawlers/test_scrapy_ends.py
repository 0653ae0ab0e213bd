"""How a spider's end and its errors are reported: each runs in a process of its own, on a real site."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.crawlers.conftest import Crawl, Tallymark, is_verified, wait_until
from tests.crawlers.site import Site
from tests.crawlers.spiders import PARSE, SPIDER

#: On a busy machine each start of Scrapy takes long.
pytestmark = pytest.mark.timeout(600)

StartCrawl = Callable[..., Crawl]


def test_an_exception_of_a_callback_is_reported_with_spider_and_url(tallymark: Tallymark, crawl: StartCrawl) -> None:
    """And the crawl goes on."""
    parse = PARSE.replace(
        "yield from", 'if response.url.endswith("/2"): raise LookupError("no title")\n        yield from'
    )
    with Site(3) as site:
        crawl(tallymark.url, site.start, spider=SPIDER + parse).wait()
    job = tallymark.job("a spider")
    assert (job["status"], job["progress"]["itemsByType"]["Page"]) == ("finished", 3)
    error = job["progress"]["error"]
    assert (error["type"], error["message"]) == ("LookupError", "no title")
    assert error["context"] == {"spider": "a spider", "url": f"{site.url}/page/2"}


def test_what_pipelines_drop_is_counted_and_what_they_raise_is_reported(
    tallymark: Tallymark, crawl: StartCrawl
) -> None:
    """Neither counts as processed."""
    spider = SPIDER.replace(
        "        return item\n",
        """        if item.url.endswith("/1"):
            raise DropItem("not wanted")
        if item.url.endswith("/2"):
            raise ValueError("no good")
        return item
""",
    )
    with Site(3) as site:
        crawl(tallymark.url, site.start, spider=spider + PARSE).wait()
    progress = tallymark.job("a spider")["progress"]
    assert (progress["processedItems"], progress["itemsByType"]["Page"], progress["itemsByType"]["dropped"]) == (
        1,
        1,
        1,
    )
    assert (progress["error"]["type"], progress["error"]["message"]) == ("ValueError", "no good")
    assert progress["error"]["context"] == {"spider": "a spider", "url": f"{site.url}/page/2", "item": "Page"}


def test_a_crawl_with_too_many_errors_has_failed(tallymark: Tallymark, crawl: StartCrawl) -> None:
    """The job's error has the reason that Scrapy gives."""
    with Site(1) as site:
        parse = "\n    def parse(self, response):\n        raise LookupError\n"
        crawl(tallymark.url, site.start, spider=SPIDER + parse, CLOSESPIDER_ERRORCOUNT=1).wait()
    job = tallymark.job("a spider")
    assert job["status"] == "failed"
    assert "closespider_errorcount" in str(job["progress"]["error"])


def test_a_crawl_that_ends_early_by_a_limit_is_paused_and_says_why(tallymark: Tallymark, crawl: StartCrawl) -> None:
    """Responses with an error status are counted by their status."""
    parse = PARSE.replace("yield from", 'yield scrapy.Request(response.urljoin("/none"))\n        yield from')
    with Site(1000) as site:
        settings = {"CLOSESPIDER_ITEMCOUNT": 5, "HTTPERROR_ALLOW_ALL": False}
        crawl(tallymark.url, site.start, spider=SPIDER + parse, **settings).wait()
    job = tallymark.job("a spider")
    assert job["status"] == "paused"
    assert "closespider_itemcount" in job["progress"]["message"]
    assert job["progress"]["itemsByType"]["responses 404"] == 1


def test_a_server_that_is_away_stops_no_crawl_and_is_told_later(
    tallymark: Tallymark, crawl: StartCrawl, tmp_path: Path, db: psycopg.Connection[Any]
) -> None:
    """The spool keeps the counts until a crawl finds the server again."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        away = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    with Site(20) as site:
        crawl(away, site.start, TALLYMARK_JOB_ID="first").wait()
        assert len(site.served) == 20
        assert list((tmp_path / "spool").iterdir())
        crawl(tallymark.url, site.start, TALLYMARK_JOB_ID="second").wait()
    wait_until(lambda: tallymark.call("GET", "/api/internal/jobs/first").status == 200, "what the first crawl left")
    for job_id in ("first", "second"):
        job = tallymark.job(job_id)
        assert (job["status"], job["progress"]["itemsByType"]["Page"]) == ("finished", 20)
        assert is_verified(db, job_id)
