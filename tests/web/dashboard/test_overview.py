"""The overview: filters, counts, and the jobs that need attention."""

import re
from itertools import chain
from typing import TYPE_CHECKING

from playwright.sync_api import Page, expect
from tests.web.dashboard.seeding import execute, new_id, seed

if TYPE_CHECKING:
    from tests.web.dashboard.conftest import Site


def listed(page: Page) -> list[str]:
    """Return the ids of the jobs that are listed, from top to bottom."""
    ids: list[str] = page.evaluate("[...document.querySelectorAll('[data-job]')].map((row) => row.dataset.job)")
    return ids


def expect_jobs(page: Page, *ids: str) -> None:
    """Wait until exactly these jobs are listed, in this order."""
    expect(page.locator("[data-job] a.job-id")).to_have_text(list(ids))


def test_filters_narrow_the_list_and_stand_in_the_address(shared: "Site") -> None:
    """They survive a reload, and the browser's back and forward buttons."""
    prefix, url = new_id("filters"), shared.web.database_url
    a, b, c = (f"{prefix}-{letter}" for letter in "abc")
    seed(url, a, [{"stage": "one", "operationType": "discovery", "itemsByType": {"issues": 1}}])
    seed(url, b, [{"stage": "two", "operationType": "discovery", "currentDataType": "commits"}])
    seed(url, c, [{"stage": "two", "status": "completed"}])
    page = shared.open("/")
    page.get_by_label("Search in ids").fill(prefix)
    expect_jobs(page, c, b, a)
    expect(page).to_have_url(re.compile(f"q={prefix}"))
    tabs = page.get_by_role("navigation", name="Status")
    tabs.get_by_role("link", name="running").click()
    expect_jobs(page, b, a)
    page.get_by_role("button", name="More filters").click()
    page.get_by_label("Operation type").select_option("discovery")
    page.get_by_label("Stage", exact=True).fill("two")
    page.keyboard.press("Enter")
    expect_jobs(page, b)
    for part in ("status=running", "stage=two", "operationType=discovery", f"q={prefix}"):
        expect(page).to_have_url(re.compile(part))
    page.reload()
    expect_jobs(page, b)
    expect(page.get_by_label("Stage", exact=True)).to_have_value("two")
    expect(tabs.locator("[aria-current]")).to_contain_text("running")
    page.get_by_label("Stage", exact=True).fill("")
    page.keyboard.press("Enter")
    expect_jobs(page, b, a)
    page.get_by_label("Has items of type").fill("issues")
    page.keyboard.press("Enter")
    expect_jobs(page, a)
    page.go_back()
    expect_jobs(page, b, a)
    page.go_forward()
    expect_jobs(page, a)
    page.get_by_role("link", name=a).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(a)
    page.go_back()
    expect_jobs(page, a)
    expect(page.get_by_label("Has items of type")).to_have_value("issues")
    page.goto(f"/?q={prefix}&currentDataType=commits")
    expect_jobs(page, b)
    expect(page.get_by_label("Data type")).to_have_value("commits")
    page.get_by_label("Search in ids").fill(f"{prefix}-nobody")
    expect(page.get_by_text("No jobs match")).to_be_visible()
    page.get_by_role("link", name="Clear the filters").click()
    expect(page.locator("[data-job]").first).to_be_visible()
    assert page.url == f"{shared.url}/"


def test_jobs_are_found_by_what_they_were_registered_with(shared: "Site") -> None:
    """Attributes stand below the filters, and each is taken away by a click; series and parent are fields."""
    prefix, url = new_id("registered"), shared.web.database_url
    a, b = f"{prefix}-a", f"{prefix}-b"
    execute(url, "SELECT tallymark.create_job(%s, %s, %s)", a, '{"team": "search", "series": "nightly"}', prefix)
    execute(url, "SELECT tallymark.create_job(%s, %s, %s)", b, '{"team": "search"}', prefix)
    page = shared.open(f"/?q={prefix}")
    expect_jobs(page, b, a)
    page.get_by_role("button", name="More filters").click()
    page.get_by_label("Attribute").fill("team=search")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("attribute.team=search"))
    expect_jobs(page, b, a)
    page.get_by_label("Series").fill("nightly")
    page.keyboard.press("Enter")
    expect_jobs(page, a)
    page.get_by_label("Part of job").fill(prefix)
    page.keyboard.press("Enter")
    expect_jobs(page, a)
    page.reload()
    expect_jobs(page, a)
    page.goto(f"/?q={prefix}&attribute.team=other")
    expect(page.get_by_text("No jobs match")).to_be_visible()
    page.get_by_role("link", name="No longer only team=other").click()
    expect_jobs(page, b, a)


def test_paging_shows_each_job_once_while_jobs_change_and_come(shared: "Site") -> None:
    """Next, next, and back again, with 120 jobs."""
    prefix, url = new_id("pages"), shared.web.database_url
    ids = [f"{prefix}-{number:03}" for number in range(120)]
    for job_id in ids:
        seed(url, job_id)
    page = shared.open(f"/?q={prefix}")
    older = page.get_by_role("link", name="Older jobs")
    pages: list[list[str]] = []
    for number, size in enumerate((50, 50, 21)):
        expect(page.locator("[data-job]")).to_have_count(size)
        page.wait_for_function(
            "(known) => !known.includes(document.querySelector('[data-job]').dataset.job)", arg=[*chain(*pages)]
        )
        # Changes a job of another page and one of this page, and registers a job, which is on the first page.
        here = listed(page)[15]
        seed(url, ids[number], [{"processedItems": 1}])
        seed(url, f"{prefix}-new{number}")
        seed(url, here, [{"processedItems": 1, "totalItems": 4}])
        expect(page.get_by_label(f"Progress of {here}")).to_have_attribute("value", "25")
        if number == 0:
            expect(page.locator("[data-job]").first).to_have_attribute("data-job", f"{prefix}-new0")
        pages.append(listed(page))
        if number < 2:
            older.click()
    expect(older).to_have_count(0)
    assert [*chain(*pages)] == [f"{prefix}-new0", *ids[::-1]]
    page.go_back()
    expect_jobs(page, *pages[1])
    page.get_by_role("link", name="First page").click()
    expect(page.locator("[data-job]").first).to_have_attribute("data-job", f"{prefix}-new2")
    assert listed(page) == [f"{prefix}-new{number}" for number in (2, 1, 0)] + ids[:-48:-1]


def test_a_new_job_comes_in_on_top_and_one_that_goes_is_gone(shared: "Site") -> None:
    """Without a reload. Nothing moves while the viewer points at the list."""
    prefix, url = new_id("comes"), shared.web.database_url
    a, b, c = (f"{prefix}-{letter}" for letter in "abc")
    seed(url, a)
    page = shared.open(f"/?q={prefix}")
    expect_jobs(page, a)
    seed(url, b)
    expect_jobs(page, b, a)
    page.locator(f"[data-job='{a}']").hover()
    seed(url, c)
    expect(page.get_by_role("button", name="1 newer job")).to_be_visible()
    assert listed(page) == [b, a]
    page.mouse.move(0, 0)
    expect_jobs(page, c, b, a)
    execute(url, "DELETE FROM tallymark.job WHERE id = %s", b)
    expect_jobs(page, c, a)


def test_jobs_are_counted_by_status_and_those_that_need_somebody_stand_out(site: "Site") -> None:
    """The counts change as the crawlers go on. Without jobs, the page says what to do."""
    url = site.web.database_url
    page = site.open("/")
    expect(page.get_by_text("No job yet")).to_be_visible()
    expect(page.locator("pre")).to_contain_text("/api/internal/jobs/progress")
    expect(page.get_by_role("heading", name="Needs attention")).to_have_count(0)
    seed(url, "quick", [{"processedItems": number} for number in range(10)])
    seed(url, "silent", [{"processedItems": number} for number in range(10)])
    seed(url, "broken", [{"status": "failed", "error": {"type": "Oops", "message": "it broke"}}])
    seed(url, "old", [{"status": "failed", "timestamp": "2024-01-01T00:00:00Z", "error": "long ago"}])
    for job_id in ("queued1", "queued2"):
        seed(url, job_id)
    back = "recorded_at = recorded_at - interval '3 h'"
    execute(url, f"UPDATE tallymark.job_event SET {back} WHERE job_id = 'silent'")
    execute(url, "UPDATE tallymark.job SET updated_at = updated_at - interval '3 h' WHERE id = 'silent'")
    attention = page.locator(".attention")
    # Figures arrive every 5 seconds; failed jobs are read when there are more of them.
    expect(attention.get_by_role("link", name="broken")).to_be_visible()
    expect(attention).to_contain_text("it broke")
    expect(attention.get_by_role("link", name="silent")).to_be_visible()
    expect(attention).to_contain_text(re.compile("silent for 3 h"))
    expect(attention.get_by_role("link", name="quick")).to_have_count(0)
    expect(attention.get_by_role("link", name="old")).to_have_count(0)
    expect(page.locator("[data-job='silent']")).to_contain_text("silent for 3 h")
    tabs = page.get_by_role("navigation", name="Status")
    for name, jobs in (("All", 6), ("running", 2), ("queued", 2), ("failed", 2), ("finished", 0)):
        link = tabs.get_by_role("link", name=re.compile(f"^{name}"))
        expect(link.locator(".tab-count")).to_have_text(str(jobs))
    attention.get_by_role("link", name="silent").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("silent")
