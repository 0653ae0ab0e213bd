"""Many windows of one browser, which opens six connections to a server and no more."""

from typing import TYPE_CHECKING

from playwright.sync_api import Page, expect
from tests.web.dashboard.seeding import job_page, new_id, seed
from tests.web.watching import wait_until

if TYPE_CHECKING:
    from tests.web.dashboard.conftest import Site

_WINDOWS = 8
_LIVE, _ASKING = "live", "every 2 s"


def badges(windows: list[Page]) -> list[str]:
    """Return how each window learns of changes."""
    return [window.locator(".live-badge").inner_text() for window in windows]


def test_every_window_of_a_browser_goes_on_however_many_there_are(shared: "Site") -> None:
    """Each shows a change within seconds and opens other pages; streams pass on to other windows."""
    url, jobs = shared.web.database_url, [new_id("window") for _ in range(_WINDOWS - 1)]
    for job in jobs:
        seed(url, job, [{"processedItems": 1, "totalItems": 10}])
    first = shared.open(job_page(jobs[0]))
    windows = [first]
    for path in [*map(job_page, jobs[1:]), "/"]:
        windows.append(first.context.new_page())
        windows[-1].goto(path)
    expect(windows[-1].get_by_role("link", name=jobs[0], exact=False).first).to_be_visible()
    wait_until(lambda: sorted(badges(windows)) == [_ASKING] * 5 + [_LIVE] * 3)

    def report(value: int) -> None:
        for number, job in enumerate(jobs):
            seed(url, job, [{"processedItems": value}])
            if number < len(windows) - 1:
                bar = windows[number].get_by_label("Progress of the job")
                expect(bar).to_have_attribute("value", str(value * 10))

    report(2)
    row = windows[-1].get_by_role("row").filter(has_text=jobs[0])
    expect(row.get_by_role("progressbar")).to_have_attribute("value", "20")

    # Each window opens another page and comes back.
    for window in windows[:-1]:
        window.get_by_role("link", name="History").click()
        expect(window.get_by_role("heading", level=1)).to_have_text("History")
        window.reload()
        expect(window.get_by_role("heading", level=1)).to_have_text("History")
        window.go_back()
        expect(window.get_by_label("Progress of the job")).to_have_attribute("value", "20")
    wait_until(lambda: badges(windows).count(_LIVE) == 3)

    # The windows that have a stream are closed: others take over, and no event is lost.
    for closed in [window for window in windows if badges([window]) == [_LIVE]]:
        number = windows.index(closed)
        windows.remove(closed)
        if number < len(jobs):
            del jobs[number]
        closed.close()
    wait_until(lambda: badges(windows).count(_LIVE) == 3)
    report(3)
    report(4)
    for window in windows[: len(jobs)]:
        expect(window.locator(".events > li")).to_have_count(4)


def test_a_window_that_crashed_leaves_its_stream_to_another(shared: "Site") -> None:
    """Nobody released it, so it is free some seconds later."""
    job = new_id("window")
    seed(shared.web.database_url, job, [{"processedItems": 1, "totalItems": 10}])
    first = shared.open("/history")
    # As a window that has crashed leaves them.
    first.evaluate(
        "for (const number of [0, 1, 2]) localStorage.setItem(`tallymark-stream-${number}`,"
        " JSON.stringify({ owner: 'nobody', until: Date.now() + 6000 }))"
    )
    first.goto(job_page(job))
    expect(first.locator(".live-badge")).to_have_text(_ASKING)
    expect(first.locator(".live-badge")).to_have_text(_LIVE)
