"""The size of a visit."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from playwright.sync_api import Request, expect
from tests.web.dashboard.pages import PATHS, fill

if TYPE_CHECKING:
    from tests.web.dashboard.conftest import Site

_MOST_BYTES = 300_000
_PAGES = ("overview", "failed job", "errors", "history", "areas", "system")

#: All requests of the page with their sizes, except streams, which never end.
_ASKED = """() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
  .map((one) => [one.name, one.encodedBodySize, one.decodedBodySize])
  .filter(([name]) => new URL(name).pathname !== "/events")"""


def _note(asked: list[str], request: Request) -> None:
    asked.append(request.url)


def test_no_first_visit_transfers_more_than_300_kb_and_nothing_comes_from_elsewhere(
    site: "Site", record_property: Callable[[str, object], None]
) -> None:
    """Everything that a page asks for until it is drawn, without compression."""
    fill(site.web.database_url)
    state = site.open("/history").context.storage_state()
    visits = []
    for name in _PAGES:
        with site.browser.new_context(base_url=site.url, storage_state=state) as context:
            page = context.new_page()
            asked: list[str] = []
            page.on("request", partial(_note, asked))
            page.goto(PATHS[name])
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            page.wait_for_function("() => !/Reading/.test(document.querySelector('main').innerText)")
            found = page.evaluate(_ASKED)
        assert len(found) >= 4
        assert [url for url in asked if not url.startswith((f"{site.url}/", "data:"))] == []
        encoded, decoded = (sum(one[which] for one in found) for which in (1, 2))
        assert 100_000 < decoded < _MOST_BYTES, f"{name}: {decoded}"
        visits.append((decoded, encoded, name))
    decoded, encoded, name = max(visits)
    figure = f"{decoded / 1000:.0f} kB ({encoded / 1000:.0f} kB compressed)"
    record_property("figure", f"the heaviest first visit, that of the page {name!r}: {figure}")
