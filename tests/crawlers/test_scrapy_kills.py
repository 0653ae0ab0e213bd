"""A spider is killed and restarted until it has finished: every page counts, and counts once.

TALLYMARK_TEST_SEED=1 repeats the kills of an earlier run.
"""

import itertools
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.crawlers.conftest import Crawl, Tallymark, wait_until
from tests.crawlers.site import Site

#: On a busy machine each start of Scrapy takes long.
pytestmark = pytest.mark.timeout(600)


def _wait_for_pages(site: Site, pages: int, crawl: Crawl) -> None:
    wait_until(lambda: site.served.total() >= pages, "the site to serve pages", crawl.log)


class Rounds:
    """Starts and kills a crawl, again and again."""

    def __init__(self, tallymark: Tallymark, site: Site, pages: int, start_crawl: Callable[[], Crawl]) -> None:
        """Prepare.

        Args:
            tallymark: The server, which may be killed too.
            site: What is crawled.
            pages: How many pages it has.
            start_crawl: Starts the spider.
        """
        seed = int(os.environ.get("TALLYMARK_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
        print(f"TALLYMARK_TEST_SEED={seed}")  # noqa: T201 - shown when the test fails
        self.did: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._tallymark = tallymark
        self._site = site
        self._pages = pages
        self._start_crawl = start_crawl
        self._is_up = True

    def kill_early(self) -> None:
        """Kill a crawl between the start of its process and its first pages."""
        crawl = self._start_crawl()
        time.sleep(self._random.uniform(0.0, 1.5))
        self._kill(crawl, "early kills of the crawl")

    def kill_midway(self, *, server_too: bool = False) -> None:
        """Kill a crawl somewhere between its first pages and its last ones.

        Args:
            server_too: Kill the server some pages before that, and start it again some time after.
        """
        before = self._site.served.total()
        # The site waits as long as the server takes to start: a crawl that is to be killed must not finish.
        self._site.hold_at = before + int(self._pages * 0.9)
        crawl = self._start_crawl()
        until = self._random.randint(1, int(self._pages * 0.85))
        if not self._is_up:
            _wait_for_pages(self._site, before + self._random.randint(0, until), crawl)
            self._tallymark.restart()
            self._is_up = True
        if server_too:
            _wait_for_pages(self._site, before + self._random.randint(0, until), crawl)
            self._tallymark.kill()
            self.did["kills of the server"] += 1
            if self._random.random() < 0.5:
                time.sleep(self._random.uniform(0.0, 0.5))
                self._tallymark.restart()
            else:
                # The next crawl starts without the server.
                self._is_up = False
        _wait_for_pages(self._site, before + until, crawl)
        time.sleep(self._random.uniform(0.0, 0.05))
        assert crawl.is_running(), crawl.log.read_text()
        self._kill(crawl, "kills of the crawl midway")

    def _kill(self, crawl: Crawl, what: str) -> None:
        crawl.kill()
        self.did[what] += 1
        self._site.hold_at = None
        # Its last requests are still being served, and must not count as pages of the next crawl.
        wait_until(self._site.is_quiet, "the site to be quiet")

    def finish(self) -> str:
        """Let a crawl come to its end, and return its output."""
        if not self._is_up:
            self._tallymark.restart()
        return self._start_crawl().wait()


def check(
    tallymark: Tallymark, db: psycopg.Connection[Any], site: Site, spool: Path | None, kills: int
) -> dict[str, Any]:
    """Check that each page counted once, that no update waits, and that the timeline has each start.

    Args:
        tallymark: The server.
        db: Its database.
        site: The site that was crawled.
        spool: The directory of the crawl's spool; None if each crawl had another one.
        kills: How many crawls were killed after their start.

    Returns:
        The job.
    """
    job = tallymark.job("pages")
    progress = job["progress"]
    assert job["status"] == "finished"
    assert progress["itemsByType"]["Page"] == progress["itemsByType"]["crawled pages"] == len(site.served)
    if spool is not None:
        assert progress["processedItems"] == len(site.served)
        assert list(spool.iterdir()) == [], "what is finished and delivered leaves no file"
    timeline = progress["timeline"]
    starts = [event for event in timeline if event["details"].get("status") == "started"]
    assert len(starts) >= kills + 1
    assert timeline[-1]["event"] == "completion"
    assert [event["event"] for event in timeline].count("completion") == 1
    row = db.execute("SELECT tallymark.verify_job('pages'), count(*) FROM tallymark.job_event").fetchone()
    assert row is not None
    assert row[0] is True
    assert row[1] == len(timeline), "the whole timeline was looked at"
    return job


def test_a_crawl_that_is_killed_three_times_counts_every_page_once(
    tallymark: Tallymark, crawl: Callable[..., Crawl], tmp_path: Path, db: psycopg.Connection[Any]
) -> None:
    """Each start visits the same pages again."""
    with Site(60, seconds=0.01) as site:
        rounds = Rounds(tallymark, site, 60, lambda: crawl(tallymark.url, site.start))
        for _ in range(3):
            rounds.kill_midway()
        rounds.finish()
        assert len(site.served) == 60
        check(tallymark, db, site, tmp_path / "spool", 3)


def test_a_jobdir_that_a_kill_left_is_warned_of(
    tallymark: Tallymark, crawl: Callable[..., Crawl], tmp_path: Path
) -> None:
    """Scrapy cannot continue properly there. After an orderly stop it can, and there is no warning."""
    warning = "the previous crawl was killed"
    with Site(60, seconds=0.02) as site:
        for stop in (Crawl.interrupt, Crawl.kill):
            before = site.served.total()
            crawling = crawl(tallymark.url, site.start, JOBDIR=tmp_path / "jobdir")
            _wait_for_pages(site, before + 5, crawling)
            stop(crawling)
            crawling.process.wait(30)
            assert warning not in crawling.log.read_text()
            wait_until(site.is_quiet, "the site to be quiet")
        # How far Scrapy gets with such a queue is not tested: it may fail, or skip pages.
        crawling = crawl(tallymark.url, site.start, JOBDIR=tmp_path / "jobdir")
        wait_until(lambda: warning in crawling.log.read_text(), "the warning", crawling.log)


#: Pages come back in another order than they were asked for.
_AT_ONCE = {"CONCURRENT_REQUESTS": 16, "CONCURRENT_REQUESTS_PER_DOMAIN": 16}


def _at_once(
    crawl: Callable[..., Crawl], tallymark: Tallymark, site: Site, directory: Path, case: str
) -> Callable[[], Crawl]:
    settings: dict[str, object] = {**_AT_ONCE}
    if case == "with a JOBDIR":
        settings |= {"JOBDIR": directory / "jobdir", "TALLYMARK_RESTART_AFTER_KILL": True}
    numbers = itertools.count()

    def start() -> Crawl:
        if case == "on another machine each time":
            settings["TALLYMARK_SPOOL"] = directory / f"spool{next(numbers)}"
        return crawl(tallymark.url, site.start, LOG_LEVEL="INFO", **settings)

    return start


_CASES = ["without a JOBDIR", "with a JOBDIR", "on another machine each time"]


@pytest.mark.parametrize("case", _CASES)
def test_a_crawl_with_sixteen_requests_at_once_counts_every_page_and_item_once(
    tallymark: Tallymark, crawl: Callable[..., Crawl], tmp_path: Path, db: psycopg.Connection[Any], case: str
) -> None:
    """It is killed three times."""
    with Site(60, seconds=0.005, jitter=0.05) as site:
        rounds = Rounds(tallymark, site, 60, _at_once(crawl, tallymark, site, tmp_path, case))
        for _ in range(3):
            rounds.kill_midway()
        log = rounds.finish()
        assert len(site.served) == 60
        check(tallymark, db, site, None if case == _CASES[2] else tmp_path / "spool", 3)
        assert ("the previous crawl was killed: this one begins again" in log) == (case == "with a JOBDIR")


@pytest.mark.faults
@pytest.mark.timeout(900)
@pytest.mark.parametrize("case", _CASES)
def test_a_crawl_with_sixteen_requests_at_once_that_is_killed_twenty_times_counts_every_page_and_item_once(
    tallymark: Tallymark,
    crawl: Callable[..., Crawl],
    tmp_path: Path,
    db: psycopg.Connection[Any],
    case: str,
    record_property: Callable[[str, object], None],
) -> None:
    """500 pages."""
    began = time.monotonic()
    with Site(500, seconds=0.002, jitter=0.05) as site:
        rounds = Rounds(tallymark, site, 500, _at_once(crawl, tallymark, site, tmp_path, case))
        for number in range(20):
            if number % 5 == 0:
                rounds.kill_early()
            rounds.kill_midway()
        rounds.finish()
        assert len(site.served) == 500
        job = check(tallymark, db, site, None if case == _CASES[2] else tmp_path / "spool", 20)
        counts = job["progress"]["itemsByType"]
        record_property(
            "figure",
            f"{case}: 20 kills midway and 4 early; {site.served.total()} pages served, 500 of them different, "
            f"{counts['Page']} items and {counts['crawled pages']} pages counted; {time.monotonic() - began:.0f} s",
        )


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_a_crawl_that_is_killed_twenty_times_with_its_server_counts_every_page_once(
    tallymark: Tallymark,
    crawl: Callable[..., Crawl],
    tmp_path: Path,
    db: psycopg.Connection[Any],
    record_property: Callable[[str, object], None],
) -> None:
    """500 pages and 20 kills -9, in mid-crawl and before; the server is killed -9 in every third round."""
    began = time.monotonic()
    with Site(500, seconds=0.007) as site:
        rounds = Rounds(tallymark, site, 500, lambda: crawl(tallymark.url, site.start, LOG_LEVEL="INFO"))
        for number in range(20):
            if number % 5 == 0:
                rounds.kill_early()
            rounds.kill_midway(server_too=number % 3 == 1)
        rounds.finish()
        assert len(site.served) == 500
        job = check(tallymark, db, site, tmp_path / "spool", 20)
        counts = job["progress"]["itemsByType"]
        assert counts["Page"] == job["progress"]["processedItems"] == 500
        did = ", ".join(f"{number} {what}" for what, number in rounds.did.items())
        record_property(
            "figure",
            f"{did}; {site.served.total()} pages served, 500 of them different, {counts['Page']} counted; "
            f"{job['lastSeq']} events; {time.monotonic() - began:.0f} s",
        )
