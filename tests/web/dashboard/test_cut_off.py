"""A page loses the server while its job goes on."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Page, expect
from tests.web.dashboard.cable import Cable
from tests.web.dashboard.seeding import execute, job_page, new_id, seed
from tests.web.watching import ledger

from tallymark.functions.tokens import create_token

if TYPE_CHECKING:
    import psycopg
    from playwright.sync_api import Browser
    from tests.web.conftest import Web
    from tests.web.dashboard.conftest import Site

_SECONDS = 10
_BEFORE = 120
_MEANWHILE = 200

#: Records the page's own status, in order.
_LISTEN = """() => {
  window.__marker = "never loaded again";
  const badge = document.querySelector(".live-badge");
  window.__said = [badge.textContent];
  const note = () => {
    if (badge.textContent !== window.__said.at(-1)) window.__said.push(badge.textContent);
  };
  new MutationObserver(note).observe(badge, { subtree: true, childList: true, characterData: true });
}"""


def shown(page: Page) -> list[int]:
    """Return the numbers of the events that are shown, from top to bottom."""
    seqs: list[int] = page.evaluate(
        "[...document.querySelectorAll('.events [data-seq]')].map((one) => Number(one.dataset.seq))"
    )
    return seqs


def shown_to_the_end(page: Page) -> list[int]:
    """Load older events until there are no more, and return the numbers of all."""
    begins = page.get_by_text("This is the first event.")
    while not begins.is_visible():
        before = len(shown(page))
        # Scrolling to the end loads them, unless the last part read was shorter than the page.
        page.locator(".events > li").last.scroll_into_view_if_needed()
        page.wait_for_function(
            "(before) => document.querySelectorAll('.events [data-seq]').length > before"
            " || document.body.innerText.includes('This is the first event.')",
            arg=before,
        )
    return shown(page)


def updates(first: int, count: int) -> list[dict[str, Any]]:
    """Return this many updates of a job."""
    return [{"processedItems": number, "totalItems": 1000} for number in range(first, first + count)]


@pytest.mark.parametrize("is_told", [True, pytest.param(False, marks=pytest.mark.deep)])
def test_a_page_that_was_cut_off_for_ten_seconds_catches_up_without_a_gap(shared: "Site", is_told: bool) -> None:
    """Its connections break or just fall silent; meanwhile it says that its data may be old.

    If the browser reports that the network is back, the page recovers at once, otherwise after some more seconds.
    """
    url, job_id = shared.web.database_url, new_id("cut")
    seed(url, job_id, updates(1, _BEFORE))
    with Cable(shared.web.port) as cut, Cable(shared.web.port) as silent:
        pages = []
        for cable in (cut, silent):
            shared.url = f"http://127.0.0.1:{cable.port}"
            pages.append(shared.open(job_page(job_id)))
        for page in pages:
            expect(page.locator(".live-badge")).to_have_text("live")
            expect(page.locator(f".events [data-seq='{_BEFORE}']")).to_be_visible()
            page.evaluate(_LISTEN)
        cut.cut()
        silent.pull()
        began = time.monotonic()
        seed(url, job_id, updates(_BEFORE + 1, _MEANWHILE))
        for page in pages:
            expect(page.locator(".live-badge")).to_contain_text("stale", timeout=30_000)
            assert shown(page)[0] == _BEFORE
        pages[0].wait_for_timeout(max(0, _SECONDS - (time.monotonic() - began)) * 1000)
        cut.mend()
        silent.mend()
        for page in pages:
            if is_told:
                page.evaluate("dispatchEvent(new Event('online'))")
        for page in pages:
            expect(page.locator(".live-badge")).to_have_text("live", timeout=60_000)
            expect(page.locator(f".events [data-seq='{_BEFORE + _MEANWHILE}']")).to_be_visible()
        seed(url, job_id, updates(_BEFORE + _MEANWHILE + 1, 1))
        told = ledger(url, job_id)
        for page in pages:
            expect(page.locator(f".events [data-seq='{told[-1]}']")).to_be_visible()
            assert shown_to_the_end(page) == told[::-1]
            assert page.evaluate("window.__marker") == "never loaded again"
            said = page.evaluate("window.__said")
            assert said[0] == said[-1] == "live"
            assert any(one.startswith("stale") for one in said)


def test_where_something_in_between_keeps_streams_back_the_page_asks_and_says_so(shared: "Site") -> None:
    """A proxy forwards only complete answers, so nothing breaks, and nothing comes."""
    url, job_id = shared.web.database_url, new_id("kept")
    seed(url, job_id, updates(1, 1))
    with Cable(shared.web.port) as cable:
        cable.keep_streams()
        shared.url = f"http://127.0.0.1:{cable.port}"
        page = shared.open(job_page(job_id))
        expect(page.locator(".events [data-seq='1']")).to_be_visible()
        page.evaluate(_LISTEN)
        seed(url, job_id, updates(2, 1))
        expect(page.locator(".live-badge")).to_have_text("every 2 s")
        expect(page.locator(".events [data-seq='2']")).to_be_visible()
        assert page.evaluate("window.__said") == ["connecting", "every 2 s"]


def test_a_page_that_is_refused_does_not_call_itself_live(
    browser: "Browser", start_web: Callable[..., "Web"], db_url: str, db: "psycopg.Connection"
) -> None:
    """Its token was limited to other jobs. The page keeps what it showed, and says why there is no more."""
    from tests.web.dashboard.conftest import Site

    web = start_web(db_url, TALLYMARK_TOKEN_CACHE_SECONDS="0.2")
    seed(db_url, "mine", updates(1, 2))
    token = create_token(db, "operator", ["read"], job_prefix="m")
    db.commit()
    site = Site(browser, web)
    with Cable(web.port) as cable:
        site.url = f"http://127.0.0.1:{cable.port}"
        page = site.open("/job?id=mine", token=token)
        expect(page.locator(".live-badge")).to_have_text("live")
        expect(page.locator(".events > li")).to_have_count(2)
        execute(db_url, "UPDATE tallymark.api_token SET job_prefix = 'theirs'")
        cable.cut()
        page.wait_for_timeout(300)
        cable.mend()
        expect(page.locator(".live-badge")).to_contain_text("not live")
        expect(page.get_by_text("This token is for jobs whose ids begin with 'theirs'").first).to_be_visible()
        assert shown(page) == [2, 1]
        # Looking again later shows whether that has changed.
        execute(db_url, "UPDATE tallymark.api_token SET job_prefix = 'm'")
        page.wait_for_timeout(300)
        page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
        expect(page.locator(".live-badge")).to_have_text("live")
    site.check()
    site.close()
