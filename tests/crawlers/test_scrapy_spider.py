"""What belongs to the spider stays as it is, and how it finds its job; several spiders in one process."""

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from tests.crawlers.conftest import Crawl, Tallymark, is_verified
from tests.crawlers.site import Site
from tests.crawlers.spiders import PARSE, PROGRAM, SPIDER
from tests.web.conftest import TOKEN

#: On a busy machine each start of Scrapy takes long.
pytestmark = pytest.mark.timeout(600)

StartCrawl = Callable[..., Crawl]


@pytest.mark.parametrize(
    ("own", "value"),
    [
        ('    progress = "mine"\n', "'mine'"),
        ("    progress = None\n", "None"),
        ('    progress = property(lambda self: "computed")\n', "'computed'"),
        (
            '    def __getattr__(self, name):\n        if name == "progress": return 7\n        raise AttributeError\n',
            "7",
        ),
    ],
    ids=["an attribute", "None", "a property", "a computed one"],
)
def test_an_attribute_progress_of_the_spiders_own_is_kept(
    tallymark: Tallymark, crawl: StartCrawl, own: str, value: str
) -> None:
    """Its job is given by `job_of`, which pipelines can call as well."""
    parse = """
    def parse(self, response):
        from tallymark.scrapy import job_of
        self.logger.info("progress is %r", self.progress)
        assert job_of(self) is job_of(self.crawler)
        job_of(self).advance("by job_of", 5)
        yield Page(response.url)
"""
    with Site(1) as site:
        log = crawl(tallymark.url, site.start, spider=SPIDER + own + parse).wait()
    assert f"progress is {value}" in log
    assert "keeps its own `progress`; its job is tallymark.scrapy.job_of(spider)" in log
    counts = tallymark.counts("a spider")
    assert (counts["Page"], counts["by job_of"]) == (1, 5)


def test_no_debug_lines_of_the_clients_requests_are_in_the_log(tallymark: Tallymark, crawl: StartCrawl) -> None:
    """Those of the crawl's own requests are."""
    parse = """
    def parse(self, response):
        import urllib3
        self.progress.flush()
        urllib3.PoolManager().request("GET", response.url)
        yield Page(response.url)
        self.progress.flush()
"""
    with Site(1) as site:
        log = crawl(tallymark.url, site.start, spider=SPIDER + parse).wait()
    assert "[urllib3.connectionpool] DEBUG" in log
    assert "/api/internal/jobs" not in log
    assert log.count("Starting new HTTP connection") == 1
    assert "Converted retries value: False" not in log


def test_spiders_of_one_process_have_a_job_each(
    tallymark: Tallymark, script: Callable[..., Crawl], tmp_path: Path, db: psycopg.Connection
) -> None:
    """Each counts its own pages."""
    program = (
        PROGRAM
        + """
class Pages(scrapy.Spider):
    def __init__(self, name, pages):
        super().__init__(name)
        self.start_urls = [SITE.replace("/0", f"/{page}") for page in range(pages)]

    def parse(self, response):
        self.progress.advance("mine")
        yield {"url": response.url}

run({}, (Pages, {"name": "a", "pages": 3}), (Pages, {"name": "b", "pages": 5}), (Pages, {"name": "c", "pages": 0}))
"""
    )
    with Site(9) as site:
        script(program, tallymark.url, TOKEN, str(tmp_path / "spool"), site.start).wait()
    for name, pages in (("a", 3), ("b", 5)):
        job = tallymark.job(name)
        assert (job["status"], job["progress"]["processedItems"]) == ("finished", 2 * pages)
        assert job["progress"]["itemsByType"]["items"] == job["progress"]["itemsByType"]["mine"] == pages
        assert is_verified(db, name)
    assert tallymark.job("c")["status"] == "finished"


def test_spiders_of_one_process_that_share_a_job_are_its_workers(
    tallymark: Tallymark, script: Callable[..., Crawl], tmp_path: Path, db: psycopg.Connection
) -> None:
    """A warning says so. The job ends with the last of them, and has failed because one of them has."""
    program = (
        PROGRAM
        + """
class Pages(scrapy.Spider):
    def __init__(self, name, pages, reason=None):
        super().__init__(name)
        self.reason = reason
        self.start_urls = [SITE.replace("/0", f"/{page}") for page in pages]

    def parse(self, response):
        yield {"url": response.url}
        if self.reason:
            raise CloseSpider(self.reason)

run(
    {"TALLYMARK_JOB_ID": "nightly"},
    (Pages, {"name": "a", "pages": range(30)}),
    (Pages, {"name": "a", "pages": range(30, 40)}),
    (Pages, {"name": "b", "pages": [50], "reason": "closespider_errorcount"}),
)
"""
    )
    with Site(60, seconds=0.01) as site:
        log = script(program, tallymark.url, TOKEN, str(tmp_path / "spool"), site.start).wait()
    assert log.count("another spider of this process reports on the job nightly") == 2
    assert "another process uses" not in log
    job = tallymark.job("nightly")
    assert (job["status"], job["progress"]["processedItems"]) == ("failed", 41)
    assert "closespider_errorcount" in job["progress"]["error"]["message"]
    assert job["progress"]["itemsByType"]["items"] == 41
    assert sorted(job["progress"].get("workers", {"a": 0, "b": 0})) == ["a", "b"]
    assert is_verified(db, "nightly")


def test_a_job_that_cannot_be_started_does_not_stop_the_crawl(tallymark: Tallymark, crawl: StartCrawl) -> None:
    """Its log has the reason, and the spider has a job that drops its reports."""
    parse = PARSE.replace("yield Page", 'self.progress.advance("mine"); self.progress.flush(); yield Page')
    with Site(12) as site:
        log = crawl(tallymark.url, site.start, spider=SPIDER + parse, TALLYMARK_JOB_ID="half \udc80").wait()
        assert len(site.served) == 12
    assert "the job cannot be started: the crawl goes on, and nothing is reported" in log
    assert "spider_exceptions" not in log


def test_callbacks_work_that_use_every_part_of_a_job_when_nothing_is_reported(crawl: StartCrawl) -> None:
    """The spider need not ask whether it has a job; what is wrong with an argument is said as ever."""
    parse = """
    def parse(self, response):
        job = self.progress
        assert job.advance("mine", key="k") and not job.advance("mine", key="k") and job.seen("k")
        job.total(5); job.stage("s"); job.checkpoint({"a": 1}); job.report(a=1); job.event("e"); job.error("no")
        job.discovered([{"type": "group", "fullPath": "acme"}])
        assert [*job.track([1, 2])] == [1, 2]
        assert job.flush() and not job.should_stop and not job.refused()
        try:
            job.total(-1)
        except ValueError:
            self.logger.info("all of it works")
        yield Page(response.url)
"""
    with Site(1) as site:
        log = crawl(None, site.start, spider=SPIDER + parse).wait()
    assert "all of it works" in log
    assert "tallymark.client" not in log
    assert "Traceback" not in log
