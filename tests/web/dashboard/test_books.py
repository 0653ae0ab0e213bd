"""What the pages show of a job's books, and of what is missing from one that has finished."""

from typing import TYPE_CHECKING

from playwright.sync_api import expect
from tests.web.dashboard.seeding import job_page, new_id, seed

if TYPE_CHECKING:
    from playwright.sync_api import Locator
    from tests.web.dashboard.conftest import Site

_HEAD = ["Type", "Done", "Failed", "Skipped", "Left", "Total"]


def line(table: "Locator", type_: str) -> list[str]:
    """Return the numbers of a type: done, failed, skipped, left, total."""
    return table.locator(f"tr[data-type='{type_}'] td:not(.book-bar)").all_inner_texts()


def test_the_books_of_a_job_are_a_table_in_which_what_is_left_comes_first(shared: "Site") -> None:
    """Each type with its numbers and its bar; what is not known is a dash; it changes as the job does."""
    job_id, url = new_id(), shared.web.database_url
    seed(
        url,
        job_id,
        [
            {"status": "started", "totalsByType": {"issues": 1500, "notes": 2}},
            {"itemsByType": {"issues": 1000, "notes": 3, "labels": 5}, "failedByType": {"issues": 20}},
            {"skippedByType": {"issues": 10}},
        ],
    )
    page = shared.open(job_page(job_id), viewport={"width": 1440, "height": 900})
    table = page.get_by_role("table", name="Books")
    expect(table.get_by_role("columnheader")).to_have_text(_HEAD)
    expect(table.get_by_role("rowheader")).to_have_text(["issues", "labels", "notes"])
    assert line(table, "issues") == ["1,000", "20", "10", "470", "1,500"]
    assert line(table, "notes") == ["3", "0", "0", "0", "2\n1 over"]
    assert line(table, "labels") == ["5", "0", "0", "\u2013", "\u2013"]
    expect(table.locator("tr[data-type='labels'] .lane")).to_have_class("lane bar-unknown")
    parts = table.locator("tr[data-type='issues'] .lane > div")
    assert [part.get_attribute("title") for part in parts.all()] == [
        "Done: 1,000",
        "Failed: 20",
        "Skipped: 10",
        "Left: 470",
    ]
    seed(url, job_id, [{"itemsByType": {"issues": 70}}])
    expect(table.locator("tr[data-type='issues'] td[data-label='Left']")).to_have_text("400")
    expect(page.locator(".events > li").first).to_contain_text("issues 70")
    expect(page.locator(".events > li").nth(1)).to_contain_text("10 issues skipped")


def test_a_job_without_books_has_no_such_table(shared: "Site") -> None:
    """As most jobs."""
    job_id = new_id()
    seed(shared.web.database_url, job_id, [{"itemsByType": {"issues": 3}}])
    page = shared.open(job_page(job_id))
    expect(page.get_by_role("list", name="Items by type")).to_be_visible()
    expect(page.get_by_role("table", name="Books")).to_have_count(0)


def test_a_job_that_finished_short_says_so_wherever_it_is_shown(shared: "Site") -> None:
    """In orange, on its page, in its timeline and in the overview, until a late report brings the rest."""
    job_id, url = new_id(), shared.web.database_url
    seed(
        url,
        job_id,
        [
            {"status": "started", "totalsByType": {"issues": 10, "notes": 4}},
            {"itemsByType": {"issues": 4, "notes": 3}},
            {"status": "completed"},
        ],
    )
    page = shared.open(job_page(job_id))
    badge = page.locator(".job-head .job-status")
    expect(badge).to_have_text("finished, 7 short")
    expect(badge).to_have_class("status job-status status-orange")
    expect(page.get_by_role("note")).to_have_text(
        "Finished, 7 short. It reported completed, but these are missing: 6 issues, 1 notes."
    )
    expect(page.get_by_role("region", name="Progress")).to_contain_text("7/14 items")
    expect(page.locator(".events > li").first).to_contain_text("Finished, 7 short")
    overview = shared.open(f"/?q={job_id}")
    row = overview.locator(f"tr[data-job='{job_id}']")
    expect(row.locator(".job-status")).to_have_text("finished, 7 short")
    expect(row.locator("progress")).to_have_class("progress progress-sm bar bar-short")
    seed(url, job_id, [{"status": "completed", "itemsByType": {"issues": 6}, "skippedByType": {"notes": 1}}])
    for shown in (badge, row.locator(".job-status")):
        expect(shown).to_have_text("finished")
        expect(shown).to_have_class("status job-status status-green")
    expect(page.get_by_role("note")).to_have_count(0)


def test_the_books_as_they_were_are_shown_with_the_job_as_it_was(shared: "Site") -> None:
    """After the second of three events there was more left, and the job was not short yet."""
    job_id = new_id()
    seed(
        shared.web.database_url,
        job_id,
        [{"totalsByType": {"issues": 10}}, {"itemsByType": {"issues": 4}}, {"status": "completed"}],
    )
    page = shared.open(job_page(job_id, at=1))
    expect(page.locator("tr[data-type='issues'] td[data-label='Left']")).to_have_text("10")
    expect(page.locator(".job-head .job-status")).to_have_text("running")
