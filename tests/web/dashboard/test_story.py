"""A job's events on its page: in order, each once, whatever happens meanwhile."""

import json
from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect
from tests.web.dashboard.seeding import ago, execute, job_page, new_id, seed
from tests.web.dashboard.test_cut_off import shown
from tests.web.watching import ledger

if TYPE_CHECKING:
    from playwright.sync_api import APIResponse, Route
    from tests.web.dashboard.conftest import Site

_WRONG = {"error": {"type": "Oops", "message": "it broke"}}


def many() -> list[dict[str, Any]]:
    """Return updates that make more than 6,000 events, nearly all of them the crawler's own."""
    return [{"timeline": [{"timestamp": ago(seconds=9), "event": "rested", "details": {"minutes": 5}}] * 100}] * 60


def burst(url: str, job_id: str) -> None:
    """Merge 1,000 updates at once, more than a page gets in one message."""
    merge = "tallymark.merge_progress(%s, %s::jsonb || jsonb_build_object('processedItems', n))"
    sent = json.dumps({"status": "processing", "timestamp": ago(seconds=1)})
    execute(url, f"SELECT {merge} FROM generate_series(1, 1000) AS n", job_id, sent)


def make_anew(url: str, job_id: str, events: int) -> None:
    """Delete a job, and register another one with its id."""
    execute(url, "DELETE FROM tallymark.job_event WHERE job_id = %s", job_id)
    execute(url, "DELETE FROM tallymark.job WHERE id = %s", job_id)
    seed(url, job_id, [{"processedItems": number} for number in range(events)])


def test_of_the_kinds_that_are_chosen_only_those_count_that_are_new(shared: "Site") -> None:
    """Even if 6,000 events of other kinds came after the last one of these."""
    url, job_id = shared.web.database_url, new_id("long")
    seed(url, job_id, [_WRONG, *many()])
    page = shared.open(job_page(job_id, event="error"))
    expect(page.locator(".live-badge")).to_have_text("live")
    expect(page.locator(".events > li")).to_have_count(1)
    page.get_by_role("button", name="Hold").click()
    news = page.locator(".story-news")
    seed(url, job_id, [{"processedItems": 7, "totalItems": 10}])
    expect(page.get_by_label("Progress of the job")).to_have_attribute("value", "70")
    expect(news).to_have_count(0)
    seed(url, job_id, [_WRONG])
    expect(news).to_have_text("1 new event")
    news.get_by_role("button").click()
    expect(page.locator(".events > li")).to_have_count(2)


def test_a_job_made_anew_while_one_looks_has_the_story_of_the_new_one(shared: "Site") -> None:
    """Even if an answer about the old job arrives late."""
    url, job_id = shared.web.database_url, new_id("anew")
    seed(url, job_id, many())
    last = ledger(url, job_id)[-1]
    page = shared.open(job_page(job_id))
    expect(page.locator(".live-badge")).to_have_text("live")
    expect(page.locator(f".events [data-seq='{last}']")).to_be_visible()
    late: list[tuple[Route, APIResponse]] = []
    page.route(
        f"**/timeline?after={last}&*",
        lambda route: route.continue_() if late else late.append((route, route.fetch())),
    )
    with page.expect_request(f"**/timeline?after={last}&*"):
        burst(url, job_id)
    while not late:
        page.wait_for_timeout(20)
    make_anew(url, job_id, 3)
    expect(page.locator(".events > li")).to_have_count(3)
    for route, answer in late:
        route.fulfill(response=answer)
    page.wait_for_timeout(200)  # for the page to make something of it, which it should not
    seed(url, job_id, [{"processedItems": 4}])
    expect(page.locator(".events > li")).to_have_count(4)
    assert shown(page) == [4, 3, 2, 1]
    expect(page.locator(".story-news")).to_have_count(0)


def test_the_errors_that_were_paged_to_stay_when_there_is_a_new_one(shared: "Site") -> None:
    """A viewer further down gets a notice; at the top the new error appears."""
    url, job_id = shared.web.database_url, new_id("errors")
    seed(url, job_id, [_WRONG] * 45)
    page = shared.open(job_page(job_id, tab="errors"))
    listed = page.locator("main ol > li")
    expect(page.locator(".live-badge")).to_have_text("live")
    expect(listed).to_have_count(20)
    seed(url, job_id, [_WRONG])
    expect(listed).to_have_count(21)
    page.get_by_role("button", name="Older errors").click()
    expect(listed).to_have_count(41)
    listed.last.scroll_into_view_if_needed()
    seed(url, job_id, [_WRONG])
    page.get_by_role("button", name="1 new error").click()
    expect(listed).to_have_count(42)
    page.get_by_role("button", name="Older errors").click()
    expect(listed).to_have_count(47)
    seqs = [int(one.get_attribute("data-seq") or 0) for one in listed.all()]
    assert seqs == list(range(47, 0, -1))


def test_who_reads_back_to_what_was_pruned_is_told_so(shared: "Site") -> None:
    """The page does not claim that the oldest event is the first."""
    url, job_id = shared.web.database_url, new_id("pruned")
    seed(url, job_id, [{"processedItems": number} for number in range(1, 31)])
    execute(url, "SELECT tallymark.prune_job(%s, 'infinity', 10)", job_id)
    page = shared.open(job_page(job_id))
    expect(page.locator(".events > li")).to_have_count(10)
    expect(page.get_by_text("Events up to 20 were pruned")).to_be_visible()
    seed(url, job_id, [{"processedItems": 31}])
    expect(page.locator(".events > li")).to_have_count(11)
