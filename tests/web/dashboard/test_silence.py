"""On the pages an operator tells a job that waits from one that is stuck, is silent, or was never reported on."""

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect
from tests.web.dashboard.seeding import ago, execute, seed

if TYPE_CHECKING:
    from tests.web.dashboard.conftest import Site


@pytest.fixture
def quiet(site: "Site") -> "Site":
    """A server with a job of each kind, none of which has reported for three hours."""
    url = site.web.database_url
    for job_id in ("stuck", "silent", "waiting"):
        seed(url, job_id, [{"processedItems": number, "timestamp": ago(hours=4)} for number in range(10)])
    wait = {"status": "waiting", "reason": "Retry-After"}
    seed(url, "waiting", [{**wait, "timestamp": ago(hours=3.9)}, {"processedItems": 11, "timestamp": ago(hours=3.8)}])
    until = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    seed(url, "waiting", [{**wait, "timestamp": ago(hours=3), "waitUntil": until, "reason": "rate limit of <shop>"}])
    assert site.web.register("never").status == 201
    execute(url, "UPDATE tallymark.job_event SET recorded_at = recorded_at - interval '3 h'")
    execute(
        url,
        "UPDATE tallymark.job SET updated_at = updated_at - interval '3 h', created_at = created_at - interval '3 h'",
    )
    assert site.web.call("POST", "/api/internal/jobs/stuck/alive").status == 200
    return site


def test_the_overview_tells_them_apart(quiet: "Site") -> None:
    """In what needs attention, and in the list; the job that waits needs none."""
    page = quiet.open("/")
    attention = page.get_by_role("region", name="Needs attention")
    expect(attention.get_by_role("listitem")).to_have_count(3)
    for job_id, says in (
        ("stuck", r"alive .* ago, no progress for 3 h"),
        ("silent", r"silent for 3 h"),
        ("never", r"registered 3 h ago, no report yet"),
    ):
        expect(attention.get_by_role("listitem").filter(has_text=re.compile(says))).to_contain_text(job_id)
        expect(page.locator(f"[data-job={job_id}] .cell-notes")).to_contain_text(re.compile(says))
    row = page.locator("[data-job=waiting]")
    expect(row.locator(".job-status")).to_have_text("waiting")
    expect(row.locator(".cell-notes")).to_have_text(re.compile(r"waits until .*: rate limit of <shop>"))
    page.get_by_role("navigation", name="Status").get_by_role("link", name="waiting").click()
    expect(page.locator(".job-line")).to_have_count(1)


@pytest.mark.parametrize(
    ("job_id", "title", "says"),
    [
        ("waiting", "Waiting", r"It waits until .*: rate limit of <shop>"),
        ("stuck", "Alive, no progress", r"The last sign of life came .*\. Look for what blocks its crawler"),
        ("silent", "Silent", r"There has been no sign of life since then"),
        ("never", "Never reported", r"no crawler has reported on it yet"),
    ],
)
def test_the_page_of_a_job_says_how_it_is(quiet: "Site", job_id: str, title: str, says: str) -> None:
    """In a note above its progress."""
    page = quiet.open(f"/job?id={job_id}")
    note = page.locator(".liveness")
    expect(note.get_by_role("heading")).to_have_text(title)
    expect(note).to_contain_text(re.compile(says))


def test_the_page_of_a_job_shows_what_it_waited_for(quiet: "Site") -> None:
    """How often and how long, by reason; and the note goes when the job goes on."""
    page = quiet.open("/job?id=waiting")
    waits = page.get_by_role("table").filter(has_text="Reason")
    expect(waits.locator("tbody tr")).to_have_count(2)
    expect(waits.locator("tbody tr").first).to_contain_text(re.compile("rate limit of <shop>.*3 h.*so far", re.DOTALL))
    expect(waits.locator("tbody tr").last).to_contain_text(re.compile("Retry-After.*6 min", re.DOTALL))
    expect(page.locator(".liveness")).to_be_visible()
    seed(quiet.web.database_url, "waiting", [{"processedItems": 12}])
    expect(page.locator(".liveness")).to_have_count(0)
    expect(page.locator(".job-status")).to_have_text("running")
