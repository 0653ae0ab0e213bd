"""Pages that are open while crawlers report."""

import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from playwright.sync_api import Page, expect
from tests.web.conftest import TOKEN, Web, update
from tests.web.dashboard.cable import Cable
from tests.web.dashboard.seeding import job_page, new_id, seed
from tests.web.watching import Watching

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from tests.web.dashboard.conftest import Site

_SIMULATE = (sys.executable, "-c", "from tallymark.cli import main; main()", "simulate")
_UPDATES = 20
#: The goal is a second. A machine that is busy with other tests gets more.
_MOST_SECONDS = 5.0

#: Records the values of a bar with their times, and that the document was not reloaded.
_LOOK = """(selector) => {
  window.__marker = "never loaded again";
  window.__seen = {};
  const look = () => {
    for (const bar of document.querySelectorAll(selector)) {
      const name = bar.getAttribute("aria-label");
      const seen = (window.__seen[name] ??= []);
      if (seen.at(-1)?.[0] !== bar.value) seen.push([bar.value, Date.now()]);
    }
  };
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true, attributes: true });
  look();
}"""
_BAR = "progress[max]"


@contextmanager
def crowd(url: str, prefix: str) -> Iterator[None]:
    """Run a few crawlers on a bad network."""
    arguments = ["--jobs", "4", "--seconds", "60", "--rate", "100", "--seed", "7", "--prefix", prefix, "--chaos"]
    process = subprocess.Popen(
        [*_SIMULATE, *arguments, "--json", "--url", url, "--token", TOKEN],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
        assert process.poll() is None, "the crowd went home"
    finally:
        # Like Ctrl-C, so that it leaves no files behind.
        process.send_signal(signal.SIGINT)
        process.wait(60)


def shown_at(page: Page, name: str, value: float) -> float:
    """Wait until a bar has a value, and return since when, in seconds since 1970."""
    found = page.wait_for_function(
        "([name, value]) => window.__seen[name]?.find((seen) => seen[0] === value)?.[1]", arg=[name, value]
    )
    return float(found.json_value()) / 1000


def test_a_bar_moves_within_a_second_of_the_update_and_without_a_reload(
    shared: "Site", record_property: Callable[[str, object], None]
) -> None:
    """On the overview and on the job's page, while a crowd reports on a bad network."""
    web, prefix = shared.web, new_id("crowd")
    job_id = f"{prefix}-watched"
    seed(web.database_url, job_id, [{"processedItems": 0, "totalItems": _UPDATES}])
    with crowd(shared.url, prefix):
        overview = shared.open(f"/?q={prefix}")
        one_job = shared.open(job_page(job_id))
        for page in (overview, one_job):
            expect(page.locator(".live-badge")).to_have_text("live")
            page.evaluate(_LOOK, _BAR)
        delays: dict[str, list[float]] = {"overview": [], "job": []}
        for number in range(1, _UPDATES + 1):
            assert web.report(update(job_id, processedItems=number, totalItems=_UPDATES)).status == 200
            acknowledged = time.time()
            value = number * 100 / _UPDATES
            at = shown_at(overview, f"Progress of {job_id}", value)
            delays["overview"].append(max(at - acknowledged, 0))
            at = shown_at(one_job, "Progress of the job", value)
            delays["job"].append(max(at - acknowledged, 0))
        overview.wait_for_function(
            "(watched) => Object.entries(window.__seen).some(([name, seen]) => name !== watched && seen.length > 2)",
            arg=f"Progress of {job_id}",
        )
        for page in (overview, one_job):
            assert page.evaluate("window.__marker") == "never loaded again"
    for where, found in delays.items():
        figure = f"{where}: median {statistics.median(found):.2f} s, worst {max(found):.2f} s of {len(found)} updates"
        record_property("figure", f"from the acknowledgement to the page, {figure}")
        assert max(found) < _MOST_SECONDS


def test_where_no_stream_is_to_be_had_the_page_asks_again_and_says_so(
    browser: "Browser", start_web: Callable[..., Web], db_url: str
) -> None:
    """The server has only one stream, which another client uses."""
    from tests.web.dashboard.conftest import Site

    web = start_web(db_url, TALLYMARK_STREAMS="1")
    seed(db_url, "asked", [{"processedItems": 1, "totalItems": 10}])
    site = Site(browser, web)
    with Watching(web, job="asked") as taken:
        assert taken.next("job")
        overview, one_job = site.open("/"), site.open("/job?id=asked")
        for page in (overview, one_job):
            expect(page.locator(".live-badge")).to_have_text("every 2 s")
        web.report(update("asked", processedItems=5, totalItems=10))
        expect(overview.get_by_label("Progress of asked")).to_have_attribute("value", "50")
        expect(one_job.get_by_label("Progress of the job")).to_have_attribute("value", "50")
        expect(one_job.locator("[data-seq]")).to_have_count(2)
    site.check()
    site.close()


def test_what_was_shown_stays_while_the_server_is_away_and_is_said_to_be_old(shared: "Site") -> None:
    """When the server is back, the page becomes live by itself."""
    job_id = new_id("away")
    seed(shared.web.database_url, job_id, [{"processedItems": 1, "totalItems": 10}])
    with Cable(shared.web.port) as cable:
        shared.url = f"http://127.0.0.1:{cable.port}"
        pages = [shared.open(f"/?q={job_id}"), shared.open(job_page(job_id))]
        for page in pages:
            expect(page.locator(".live-badge")).to_have_text("live")
        cable.cut()
        seed(shared.web.database_url, job_id, [{"processedItems": 2, "totalItems": 10}])
        for page in pages:
            expect(page.locator(".live-badge")).to_contain_text("stale", timeout=30_000)
            expect(page.locator("main progress").first).to_have_attribute("value", "10")
        cable.mend()
        for page in pages:
            expect(page.locator(".live-badge")).to_have_text("live", timeout=60_000)
            expect(page.locator("main progress").first).to_have_attribute("value", "20")
