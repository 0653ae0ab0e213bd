"""What a Scrapy crawl counts, and as what: each item and each page, also where a URL is fetched again."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.crawlers.conftest import Crawl, Tallymark, wait_until
from tests.crawlers.site import Site
from tests.crawlers.spiders import LOOPS, PARSE, SPIDER

#: On a busy machine each start of Scrapy takes long.
pytestmark = pytest.mark.timeout(600)

StartCrawl = Callable[..., Crawl]

#: Fetches one page again and again, and scrapes an item each time.
POLL = """
    polls = 10

    def parse(self, response, poll=1):
        yield Page(response.url)
        if poll < self.polls:
            yield scrapy.Request(
                response.urljoin("/page/1"), self.parse, dont_filter=True, cb_kwargs={"poll": poll + 1}
            )
"""


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
def test_each_item_of_a_url_that_is_polled_counts(
    tallymark: Tallymark, crawl: StartCrawl, loop: dict[str, str]
) -> None:
    """Ten items are counted, and ten pages."""
    with Site(2) as site:
        log = crawl(tallymark.url, site.start, spider=SPIDER + POLL, **loop).wait()
    progress = tallymark.job("a spider")["progress"]
    assert progress["processedItems"] == progress["itemsByType"]["Page"] == 10
    assert progress["itemsByType"]["crawled pages"] == 10
    assert "'tallymark/items_counted': 10" in log, "Scrapy's own figures have it, too"


def test_a_page_that_its_callback_fetches_once_more_counts_all_its_items(
    tallymark: Tallymark, crawl: StartCrawl
) -> None:
    """Two items twice are four, for a copy of the request, too."""
    parse = """
    def parse(self, response):
        yield from [Page(response.url), Page(response.url)]
        yield response.request.replace(callback=self.again, dont_filter=True)

    def again(self, response):
        yield from [Page(response.url), Page(response.url)]
"""
    with Site(1) as site:
        crawl(tallymark.url, site.start, spider=SPIDER + parse).wait()
    progress = tallymark.job("a spider")["progress"]
    assert progress["processedItems"] == progress["itemsByType"]["Page"] == 4


def test_polls_that_continue_from_a_jobdir_count_on(tallymark: Tallymark, crawl: StartCrawl, tmp_path: Path) -> None:
    """Some of ten items are scraped before the stop, and the others after it: ten are counted."""
    stop = """
        if poll == 4 and not self.state.get("stopped"):
            self.state["stopped"] = True
            raise CloseSpider("enough for today")
"""
    with Site(2) as site:
        crawl(tallymark.url, site.start, spider=SPIDER + POLL + stop, JOBDIR=tmp_path / "jobdir").wait()
        job = tallymark.job("a spider")
        assert (job["status"], job["progress"]["processedItems"]) == ("paused", site.served.total())
        assert 4 <= site.served.total() < 10
        crawl(tallymark.url, site.start, spider=SPIDER + POLL + stop, JOBDIR=tmp_path / "jobdir").wait()
        assert site.served.total() == 10
    job = tallymark.job("a spider")
    assert (job["status"], job["progress"]["processedItems"]) == ("finished", 10)


def test_a_start_page_that_scrapy_fetches_at_each_resumption_counts_once(
    tallymark: Tallymark, crawl: StartCrawl, tmp_path: Path
) -> None:
    """Scrapy makes the requests of `start_urls` again, whatever the JOBDIR says."""
    spider = (SPIDER + PARSE).replace("Request(self.start_url)", "Request(self.start_url, dont_filter=True)")
    with Site(30, seconds=0.02) as site:
        crawling = crawl(tallymark.url, site.start, spider=spider, JOBDIR=tmp_path / "jobdir")
        wait_until(lambda: len(site.served) > 5, "the first pages")
        crawling.interrupt()
        crawling.wait()
        crawl(tallymark.url, site.start, spider=spider, JOBDIR=tmp_path / "jobdir").wait()
        # By its start requests, and by the link to it.
        assert site.served["/page/0"] == 3
        assert site.served.total() == 32
    counts = tallymark.counts("a spider")
    assert (counts["Page"], counts["crawled pages"]) == (31, 31)


def test_items_count_under_the_names_of_their_classes(tallymark: Tallymark, crawl: StartCrawl) -> None:
    """Items without a class of their own count as `items`."""
    parse = """
    def parse(self, response):
        import attrs, collections

        class Declared(scrapy.Item):
            url = scrapy.Field()

        @attrs.define
        class Defined:
            url: str

        class OwnDict(dict):
            pass

        yield from [{"a": 1}, {"b": 2}, collections.OrderedDict(a=1), Declared(url="u"), Defined("u"), OwnDict(a=1)]
        yield Page("u")
        yield type("Long" * 30, (dict,), {})(a=1)
"""
    with Site(1) as site:
        crawl(tallymark.url, site.start, spider=SPIDER + parse).wait()
    counts = tallymark.counts("a spider")
    del counts["requests"], counts["responses 200"], counts["crawled pages"]
    assert counts == {"items": 3, "Declared": 1, "Defined": 1, "OwnDict": 1, "Page": 1, ("Long" * 30)[:100]: 1}


@pytest.mark.parametrize(
    "setting",
    ["kind", "spider.by_kind", '{"dict": "goods", "Page": "sites"}'],
    ids=["a field", "a function", "a dictionary"],
)
def test_a_setting_says_as_what_items_count(
    tallymark: Tallymark, crawl: StartCrawl, setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the setting gives nothing, or its function raises an exception, the class's name is used."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    parse = """
    def parse(self, response):
        yield from [{"kind": "goods"}, {"kind": "goods"}, Link("u"), Page("u")]

def by_kind(item):
    return {dict: "goods", Page: "sites"}[type(item)]
"""
    with Site(1) as site:
        log = crawl(tallymark.url, site.start, spider=SPIDER + parse, TALLYMARK_ITEM_TYPE=setting).wait()
    counts = tallymark.counts("a spider")
    assert (counts["goods"], counts["Link"]) == (2, 1)
    assert counts["Page" if setting == "kind" else "sites"] == 1
    assert log.count("TALLYMARK_ITEM_TYPE fails") == (setting == "spider.by_kind")


def test_an_item_whose_key_cannot_be_told_counts(
    tallymark: Tallymark, crawl: StartCrawl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that is empty, is too long, is no text or raises an exception, and a request without a fingerprint."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    parse = """
    def parse(self, response):
        yield from [{"key": ""}, {"key": ""}, {"key": None}, {"key": BadText()}, "no item", {"key": "\\ud800"}]
        yield from [{"key": "x" * 5000 + "1"}, {"key": "x" * 5000 + "2"}, {"key": "same"}, {"key": "same"}]
        yield scrapy.Request(response.urljoin("/page/1"), self.parse_other)

    def parse_other(self, response):
        yield from [Page("no fingerprint"), Page("no fingerprint")]

class BadText:
    def __str__(self):
        raise RuntimeError("no text")

from scrapy.utils.request import RequestFingerprinter

class Fingerprinter(RequestFingerprinter):
    def fingerprint(self, request):
        if request.url.endswith("/1") and getattr(self, "is_scheduled", False):
            raise RuntimeError("no fingerprint")
        self.is_scheduled = request.url.endswith("/1")
        return super().fingerprint(request)
"""
    with Site(2) as site:
        settings = {"TALLYMARK_ITEM_KEY": "key", "REQUEST_FINGERPRINTER_CLASS": "spider.Fingerprinter"}
        crawl(tallymark.url, site.start, spider=SPIDER + parse, **settings).wait()
    counts = tallymark.counts("a spider")
    assert (counts["items"], counts["Page"]) == (9, 2)


def test_equal_keys_of_classes_with_one_name_are_two_items(tallymark: Tallymark, crawl: StartCrawl) -> None:
    """They count under the same type."""
    parse = """
    def parse(self, response):
        @dataclass
        class Page:
            url: str

        yield from [Page("u"), Page("u"), globals()["Page"]("u")]
"""
    with Site(1) as site:
        crawl(tallymark.url, site.start, spider=SPIDER + parse, TALLYMARK_ITEM_KEY="url").wait()
    assert tallymark.counts("a spider")["Page"] == 2


def test_pages_are_what_callbacks_are_given(tallymark: Tallymark, crawl: StartCrawl) -> None:
    """Redirects, busy answers that are tried again, robots.txt and refused pages are requests, but no pages."""
    parse = """
    async def start(self):
        site = self.start_url.removesuffix("/page/0")
        for path in ("/moved/1", "/busy/2", "/none", "/page/3"):
            yield scrapy.Request(site + path, self.parse, errback=self.failed)
        yield scrapy.Request(site + "/wanted", self.parse, meta={"handle_httpstatus_list": [404]})

    def parse(self, response):
        yield Page(response.url)

    def failed(self, failure):
        yield Link(failure.request.url)
"""
    with Site(5) as site:
        crawl(tallymark.url, site.start, spider=SPIDER + parse, ROBOTSTXT_OBEY=True).wait()
    progress = tallymark.job("a spider")["progress"]
    assert progress["itemsByType"] == {
        "Page": 4,
        "Link": 1,
        "crawled pages": 4,
        # robots.txt, the redirect and its target, the busy page twice, and three more.
        "requests": 8,
        "responses 200": 3,
        "responses 404": 3,
    }
    assert progress["processedItems"] == 5


def test_a_spider_without_items_counts_its_pages(tallymark: Tallymark, crawl: StartCrawl) -> None:
    """Its job is finished, and no item was processed."""
    parse = '\n    def parse(self, response):\n        yield from response.follow_all(css="a")\n'
    with Site(12) as site:
        crawl(tallymark.url, site.start, spider=SPIDER + parse).wait()
    job = tallymark.job("a spider")
    assert job["status"] == "finished"
    assert job["progress"]["itemsByType"] == {"crawled pages": 12, "requests": 12, "responses 200": 12}
    assert not job["progress"].get("processedItems")
