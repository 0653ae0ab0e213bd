"""When a person sees the overview in a real Chromium: of 1,000,000 jobs against of 1,000."""

import os
import secrets
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.database import Database, database as another
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Figure, Goal, Plan, Say
from benchmarks.listing import FEW, MANY
from benchmarks.ratios import Spread
from benchmarks.serving import PRODUCT, serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, StorageState

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = (
    # Root has no sandbox, and a machine for measuring no picture; the rest keeps it from calling home.
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
_TIMEOUT_MS = 30_000
#: Loads are short, so there are more of them than of other slices.
_TIMES_AS_MANY = 3
_PREFIX = "shown_"
#: As many as fill the first page of the overview several times; they are the same in both databases.
_SHOWN = 200
#: The others are over: nobody has a million jobs running.
_STATUSES = ["finished", "finished", "finished", "failed"]

#: Notes when the first row is in the document, and when the failed and the stalled jobs are that need attention.
_WATCH = """
window.benchSeen = {};
new MutationObserver(() => {
  const parts = [...document.querySelectorAll(".attention h3")].map(title => title.textContent.split(" ")[0]);
  if (document.querySelector("tr.job-line")) {
    parts.push("Row");
  }
  for (const part of parts) {
    window.benchSeen[part] ??= performance.now();
  }
}).observe(document, {childList: true, subtree: true});
"""
_SEEN = """() => {
  const [paint] = performance.getEntriesByName("first-contentful-paint");
  return {paint: paint?.startTime, ...window.benchSeen};
}"""
_IS_THERE = """wanted => wanted.every(name => name in window.benchSeen) &&
  performance.getEntriesByName("first-contentful-paint").length > 0"""


class _View(NamedTuple):
    """What is opened.

    Attributes:
        name: What its figures' names end with.
        path: Its address.
        what: It for people.
        stalled: Whether jobs have fallen silent.
    """

    name: str
    path: str
    what: str
    stalled: bool = False


_VIEWS = (
    _View("", "/", "the overview"),
    _View("_running", "/?status=running", "the overview of running jobs"),
    _View("_stalled", "/", "the overview with stalled and failed jobs above it", stalled=True),
)
NAMES = tuple(f"{kind}{view.name}" for view in _VIEWS for kind in ("first_paint", "first_row"))


class _Load(NamedTuple):
    """Milliseconds from the start of the navigation on; until the stalled jobs are there 0 where none is."""

    paint: float
    row: float
    failed: float
    stalled: float


class _Site:
    """A database with so many jobs, and a browser that is signed in there."""

    def __init__(self, browser: "Browser", url: str, state: "StorageState") -> None:
        self._browser = browser
        self._url = url
        self._state = state

    def load(self, view: _View) -> _Load:
        """Open the page with an empty cache, and wait until all of it is there."""
        from playwright.sync_api import Error

        # A context has a cache of its own, which is in memory.
        context = self._browser.new_context(base_url=self._url, storage_state=self._state)
        context.set_default_timeout(_TIMEOUT_MS)
        try:
            page = context.new_page()
            page.add_init_script(_WATCH)
            page.goto(view.path)
            page.wait_for_function(_IS_THERE, arg=["Row", "Failed", *(["Stalled"] if view.stalled else [])])
            seen = page.evaluate(_SEEN)
        except Error as error:
            raise BenchmarkError(f"{view.what} does not come: {error.message}") from error
        finally:
            context.close()
        return _Load(seen["paint"], seen["Row"], seen["Failed"], seen.get("Stalled", 0.0))


def first_paint(database: Database, plan: Plan, say: Say) -> list[Figure]:
    """Measure the overview of 1,000,000 jobs against that of 1,000, in Chromium, with a cold cache, in turns.

    Returns:
        For each view how many times as long it takes to the first contentful paint (`first_paint`) and until the first
        row is in the document (`first_row`). Nothing where there is no Chromium.
    """
    chromium = next(filter(None, map(shutil.which, _CHROMIUM)), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        say("NOT MEASURED: the first paint, since Playwright is not installed: make dev")
        return []
    if chromium is None:
        say("NOT MEASURED: the first paint, since there is no Chromium; on Debian: apt-get install chromium")
        return []
    sizes = FEW, plan.size(MANY)
    with ExitStack() as stack:
        browser_type = stack.enter_context(sync_playwright()).chromium
        browser = browser_type.launch(executable_path=chromium, args=list(_ARGUMENTS))
        stack.callback(browser.close)
        places = [stack.enter_context(another(database.url, say)) for _ in sizes]
        for place, size in zip(places, sizes, strict=True):
            say(f"making {size:,} jobs")
            _make(place, size)
        few, many = (_sign_in(stack, browser, place) for place in places)
        figures: list[Figure] = []
        for view in _VIEWS:
            if view.stalled:
                for place in places:
                    place.value("SELECT bench.silence_shown_jobs(%s, %s)", _PREFIX, _SHOWN)
            pairs = _load_in_turns(few, many, view, plan, say)
            figures += _figures(view, sizes, pairs, browser.version if not figures else "")
    return figures


def _make(place: Database, size: int) -> None:
    """Make jobs as `job_list` does, a ledger for some of them, and on top those that are shown first."""
    place.value("SELECT bench.make_running_jobs(%s, %s)", size - _SHOWN, _STATUSES)
    place.value("SELECT bench.make_ledgers(%s)", size - _SHOWN)
    place.value("SELECT bench.make_shown_jobs(%s, %s)", _PREFIX, _SHOWN)
    place.settle()


def _sign_in(stack: ExitStack, browser: "Browser", place: Database) -> _Site:
    token = secrets.token_urlsafe(24)
    environ = os.environ | {"DATABASE_URL": place.url, "CRAWLER_API_TOKEN": token}
    url = stack.enter_context(serving(PRODUCT, environ)).url
    context = browser.new_context(base_url=url)
    page = context.new_page()
    page.goto("/sign-in")
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{url}/")
    state = context.storage_state()
    context.close()
    return _Site(browser, url, state)


def _load_in_turns(few: _Site, many: _Site, view: _View, plan: Plan, say: Say) -> list[tuple[_Load, _Load]]:
    """Return the loads of both sides, after one of each that does not count."""
    pairs = []
    turns = plan.pairs if plan.quick else plan.pairs * _TIMES_AS_MANY
    for turn in range(turns + 1):
        pair = many.load(view), few.load(view)
        if turn:
            pairs.append(pair)
            say(
                f"{view.what}, {turn} of {turns}: paint {pair[0].paint:.0f} ms against {pair[1].paint:.0f} ms, "
                f"row {pair[0].row:.0f} ms against {pair[1].row:.0f} ms"
            )
    return pairs


def _figures(view: _View, sizes: tuple[int, int], pairs: list[tuple[_Load, _Load]], version: str) -> list[Figure]:
    few, many = sizes
    paint, row = (_times(pairs, part) for part in (lambda load: load.paint, lambda load: load.row))
    above = [f"the failed jobs above it are there after {_against(_times(pairs, lambda load: load.failed))}"]
    if view.stalled:
        above.append(f"the stalled ones after {_against(_times(pairs, lambda load: load.stalled))}")
    notes = (f"Chromium {version}, cold cache",) if version else ()
    return [
        _figure(f"first_paint{view.name}", f"first contentful paint of {view.what}", (few, many), paint, notes),
        _figure(f"first_row{view.name}", f"first row of {view.what}", (few, many), row, tuple(above)),
    ]


def _figure(
    name: str, what: str, sizes: tuple[int, int], times: list[tuple[float, float]], notes: tuple[str, ...]
) -> Figure:
    ratios = Spread(tuple(many / few for many, few in times))
    what = f"time to the {what}, {sizes[1]:,} jobs / {sizes[0]:,}"
    return Figure(name, what, ratios, Goal(1.5, at_most=True), (_against(times), *notes))


def _times(pairs: list[tuple[_Load, _Load]], part: Callable[[_Load], float]) -> list[tuple[float, float]]:
    return [(part(many), part(few)) for many, few in pairs]


def _against(times: list[tuple[float, float]]) -> str:
    return f"{median(many for many, _ in times):.0f} ms against {median(few for _, few in times):.0f} ms"
