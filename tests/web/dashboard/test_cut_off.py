"""A page that is cut off from the server while its job goes on."""

import time
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Page, expect
from tests.web.dashboard.cable import Cable
from tests.web.dashboard.seeding import job_page, new_id, seed
from tests.web.watching import ledger

if TYPE_CHECKING:
    from tests.web.dashboard.conftest import Site

_SECONDS = 10
_BEFORE = 120
_MEANWHILE = 200

#: Notes what the page says of itself, in order.
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
    """Go through the older ones until there are no more, and return the numbers of all."""
    begins = page.get_by_text("This is where it begins.")
    while not begins.is_visible():
        before = len(shown(page))
        # Scrolling to the end has them read by itself, unless something shorter than the page was read.
        page.locator(".events > li").last.scroll_into_view_if_needed()
        page.wait_for_function(
            "(before) => document.querySelectorAll('.events [data-seq]').length > before"
            " || document.body.innerText.includes('This is where it begins.')",
            arg=before,
        )
    return shown(page)


def updates(first: int, count: int) -> list[dict[str, Any]]:
    """Return so many updates of a job."""
    return [{"processedItems": number, "totalItems": 1000} for number in range(first, first + count)]


@pytest.mark.parametrize("is_told", [True, pytest.param(False, marks=pytest.mark.deep)])
def test_a_page_that_was_cut_off_for_ten_seconds_catches_up_without_a_gap(shared: "Site", is_told: bool) -> None:
    """Whether its connections broke or just fell silent; meanwhile it says that what it shows may be old.

    It is there again at once where the browser is told that there is a network again, else after some more seconds.
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
