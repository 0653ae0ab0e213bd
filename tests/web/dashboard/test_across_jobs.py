"""The pages that look across jobs: errors, history, areas and system."""

import re
from typing import TYPE_CHECKING, Any

import psycopg
from playwright.sync_api import expect
from tests.web.dashboard.seeding import ago, execute, job_page, seed

from tallymark.functions.tokens import create_token

if TYPE_CHECKING:
    from tests.web.dashboard.conftest import Site


def _seed_ended(url: str, job_id: str, status: str, days: float, items: int = 0) -> None:
    """Let a job end this many days ago, after ten minutes."""
    seed(
        url,
        job_id,
        [
            {"status": "started", "timestamp": ago(days=days, minutes=10)},
            {"status": status, "timestamp": ago(days=days), "processedItems": items},
        ],
    )


def test_errors_are_grouped_searched_and_lead_to_their_jobs(site: "Site") -> None:
    """The search and the period are in the address, and survive a reload."""
    url = site.web.database_url
    for number in range(3):
        error = {"type": "RateLimited", "message": f"retry after {number} s"}
        seed(url, f"limited-{number}", [{"error": error}])
    seed(url, "broken", [{"error": {"type": "Broken", "message": "a pipe"}}])
    page = site.open("/errors")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("retry after <number> s")
    expect(rows.first.get_by_role("img")).to_have_attribute("aria-label", re.compile("^3 at most, between "))
    page.get_by_role("button", name="7 days").click()
    page.get_by_label("Search the groups").fill("PIPE broken")
    expect(rows).to_have_count(1)
    assert page.url.endswith("/errors?window=7d&q=PIPE+broken")
    page.reload()
    expect(rows).to_have_count(1)
    expect(page.get_by_role("button", name="7 days")).to_have_attribute("aria-pressed", "true")
    rows.first.get_by_text("The newest of them").click()
    page.get_by_role("link", name="broken").click()
    assert page.url == site.url + job_page("broken")


def test_errors_that_are_new_come_without_a_reload_and_an_unfolded_one_stays_so(site: "Site") -> None:
    """The page reads again by itself."""
    url = site.web.database_url
    seed(url, "one", [{"error": {"type": "First", "message": "of its kind"}}])
    page = site.open("/errors?window=1h")
    page.get_by_text("The newest of them").click()
    seed(url, "two", [{"error": {"type": "Second", "message": "of its kind"}}])
    expect(page.get_by_text("Second")).to_be_visible(timeout=20_000)
    expect(page.locator("details[open]")).to_have_count(1)


def test_history_adds_up_what_ended_in_its_days(site: "Site") -> None:
    """The totals, and a row for each day on which jobs ended."""
    url = site.web.database_url
    _seed_ended(url, "a", "completed", 2, 1000)
    _seed_ended(url, "b", "completed", 2, 234)
    _seed_ended(url, "c", "failed", 2)
    _seed_ended(url, "d", "cancelled", 20)
    page = site.open("/history?days=7")
    main = page.locator("main")
    expect(main).to_contain_text("2 finished, 1 failed, 0 cancelled")
    expect(main).to_contain_text("1,234")
    expect(main).to_contain_text("67%")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody tr")).to_contain_text("10 min")
    expect(page.get_by_role("img", name=re.compile("^3 jobs ended in 7 days; most on .*: 2 finished"))).to_be_visible()
    page.get_by_role("button", name="30 days").click()
    expect(page.locator("tbody tr")).to_have_count(2)
    assert page.url.endswith("/history?days=30")


def test_areas_are_unfolded_by_keyboard_and_read_when_they_are(site: "Site") -> None:
    """Each shows its type and how many jobs discovered it; the tree can start at any of them."""
    areas = [
        {"fullPath": "org", "type": "group", "name": "The organisation"},
        {"fullPath": "org/team", "type": "group", "name": "The team", "parentPath": "org"},
        {"fullPath": "org/team/site", "type": "project", "name": "The site", "parentPath": "org/team"},
    ]
    for job_id in ("one", "two"):
        seed(site.web.database_url, job_id, [{"status": "new_areas_discovered", "areas": areas}])
    page = site.open("/areas")
    expect(page.get_by_text("2 jobs")).to_have_count(1)
    for name in ("The organisation", "The team"):
        toggle = page.get_by_role("button", name=f"Areas below {name}")
        expect(toggle).to_have_attribute("aria-expanded", "false")
        toggle.press("Enter")
        expect(toggle).to_have_attribute("aria-expanded", "true")
    expect(page.get_by_role("link", name="The site")).to_be_visible()
    expect(page.get_by_role("button", name="Areas below The site")).to_have_count(0)
    page.get_by_role("link", name="The team").click()
    assert page.url.endswith("/areas?root=org%2Fteam")
    expect(page.get_by_role("link", name="The site")).to_be_visible()
    expect(page.get_by_role("link", name="The organisation")).to_have_count(0)


def test_system_checks_the_newest_jobs_at_a_click(site: "Site") -> None:
    """It names the jobs whose stored state differs from the ledger."""
    url = site.web.database_url
    seed(url, "right", [{"itemsByType": {"issues": 2}}])
    page = site.open("/system")
    page.get_by_role("button", name="Check now").click()
    expect(page.get_by_text("1 of the newest jobs checked: all exact.")).to_be_visible()
    seed(url, "wrong", [{"itemsByType": {"issues": 2}}])
    execute(url, """UPDATE tallymark.job SET progress = progress || '{"stage": "made up"}' WHERE id = 'wrong'""")
    page.get_by_role("button", name="Check again").click()
    expect(page.get_by_text("1 exact, 1 differ")).to_be_visible()
    expect(page.locator("main li").get_by_role("link", name="wrong")).to_be_visible()


def test_system_says_in_words_what_a_token_may_not_see(site: "Site", db: psycopg.Connection[Any]) -> None:
    """A sentence replaces the card; the other cards are shown."""
    seed(site.web.database_url, "some-1", [{}])
    seed(site.web.database_url, "others", [{}])
    page = site.open("/system", token=create_token(db, "some", ["read"], job_prefix="some-"))
    for title in ("Endpoint", "Database"):
        expect(page.locator("section.card", has=page.get_by_role("heading", name=title))).to_contain_text(
            "You may not see this"
        )
    frequency = page.locator("section.card", has=page.get_by_role("heading", name="Update frequency"))
    expect(frequency.get_by_role("link", name="some-1")).to_be_visible()
    expect(frequency.get_by_role("link", name="others")).to_have_count(0)


def test_where_there_is_nothing_the_pages_say_so_and_what_to_do(site: "Site") -> None:
    """Each with its own sentence."""
    page = site.open("/errors")
    expect(page.get_by_text("No errors in the last 24 hours")).to_be_visible()
    for path, sentence in {
        "/history?days=90": "No job ended in the last 90 days",
        "/areas": "No areas yet",
        "/areas?root=none": "No job discovered this area",
        "/system": "No job is running.",
    }.items():
        page.goto(path)
        expect(page.get_by_text(sentence)).to_be_visible()
