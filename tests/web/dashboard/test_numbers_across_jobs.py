"""The numbers on the pages across all jobs are those of the database."""

import re
from typing import TYPE_CHECKING

from playwright.sync_api import Page, expect
from tests.web.dashboard.seeding import ago, execute, scalar, seed

if TYPE_CHECKING:
    from tests.web.dashboard.conftest import Site


def row(page: Page, *texts: str) -> list[str]:
    """Return the cells of the one row of a table that has all these texts."""
    found = page.locator("tbody tr")
    for text in texts:
        found = found.filter(has_text=text)
    expect(found).to_have_count(1)
    return [cell.strip() for cell in found.locator("td").all_inner_texts()]


def test_errors_are_counted_like_with_like(site: "Site") -> None:
    """How often, and in how many jobs; the period and the search are in the address."""
    url = site.web.database_url
    for job in range(3):
        wrong = [{"error": {"type": "Timeout", "message": f"no answer after {n} s"}} for n in range(job + 1)]
        seed(url, f"job {job}", wrong)
    long_ago = {"timestamp": ago(days=3), "error": {"type": "Refused", "message": "403"}}
    seed(url, "old", [long_ago])
    execute(url, "UPDATE tallymark.job_event SET recorded_at = recorded_at - interval '3 d' WHERE job_id = 'old'")
    page = site.open("/errors")
    cells = row(page, "Timeout")
    assert cells[2:4] == ["6", "3"]
    expect(page.get_by_role("status").filter(has_text="group")).to_contain_text("6 errors in 1 group")
    page.get_by_role("button", name="7 days").click()
    expect(page).to_have_url(re.compile("window=7d"))
    assert row(page, "Refused")[2:4] == ["1", "1"]
    page.get_by_label("Search the groups").fill("refused")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.reload()
    expect(page.get_by_label("Search the groups")).to_have_value("refused")
    assert row(page, "Refused")[2:4] == ["1", "1"]
    page.locator("summary").click()
    page.get_by_role("link", name="old").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("old")
    page.go_back()
    page.get_by_label("Search the groups").fill("nothing like it")
    page.get_by_role("button", name="Show all groups").click()
    expect(page.locator("tbody tr")).to_have_count(2)


def test_the_system_page_shows_the_figures_of_the_database(site: "Site") -> None:
    """Sizes, silent jobs, how often jobs report, and how the endpoint answers."""
    url = site.web.database_url
    for job_id in ("quick", "silent"):
        seed(url, job_id, [{"processedItems": number} for number in range(10)])
    execute(url, "UPDATE tallymark.job_event SET recorded_at = recorded_at - interval '3 h' WHERE job_id = 'silent'")
    execute(url, "UPDATE tallymark.job SET updated_at = updated_at - interval '3 h' WHERE id = 'silent'")
    execute(url, "ANALYZE tallymark.job, tallymark.job_event")
    unknown = {"taskId": "nobody", "status": "processing", "timestamp": "2025-01-06T19:15:30Z"}
    assert [site.web.report(unknown).status for _ in range(3)] == [404] * 3
    for job_id in ("quick", "nobody", "nobody"):
        site.web.call("GET", f"/api/internal/jobs/{job_id}/stages")
    page = site.open("/system")
    stalled = page.get_by_label("Stalled jobs").locator("tbody tr")
    expect(stalled).to_have_count(1)
    expect(stalled).to_contain_text(re.compile("silent.*3 h"))
    expect(page.get_by_label("Update frequency").locator("tbody tr").first).to_be_visible()
    tables = page.get_by_label("Sizes of the tables").locator("tbody tr")
    events = tables.filter(has_text="job_event").locator("td")
    expect(events.nth(1)).to_have_text("20")
    version = scalar(url, "SHOW server_version").split()[0]
    expect(page.locator("main")).to_contain_text(f"PostgreSQL {version}")
    expect(page.locator("main")).to_contain_text(
        "Updates per call of the database: 1.0 on average, 3 updates in 3 calls."
    )
    answered = page.get_by_label("Requests by route").locator("tbody tr").filter(has_text="/stages").locator("td")
    expect(answered.nth(1)).to_have_text("3")
    expect(answered.nth(2)).to_contain_text("2")
