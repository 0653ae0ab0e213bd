"""What a job's page shows."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from playwright.sync_api import expect
from tests.web.conftest import Web, update
from tests.web.dashboard.seeding import execute, job_page, new_id, scalar, seed
from tests.web.dashboard.test_cut_off import shown, shown_to_the_end
from tests.web.watching import ledger

from tallymark import addresses
from tallymark.functions.tokens import create_token

if TYPE_CHECKING:
    import psycopg
    from playwright.sync_api import Page
    from tests.web.dashboard.conftest import Site


def tab(page: "Page", name: str) -> None:
    """Go to a part of the page."""
    page.get_by_role("navigation", name="Parts of the job").get_by_role("link", name=name).click()


def test_what_is_part_of_a_job_is_added_up_on_its_page(shared: "Site") -> None:
    """Sums, statuses and jobs, each with a link; and a job links to what it is part of."""
    whole, url = new_id("whole"), shared.web.database_url
    seed(url, whole)
    for number in range(12):
        execute(url, "SELECT tallymark.create_job(%s, parent => %s)", f"{whole}-{number:02}", whole)
        seed(url, f"{whole}-{number:02}", [{"itemsByType": {"issues": number}, "totalItems": 11}])
    page = shared.open(job_page(whole))
    card = page.locator(".card", has=page.get_by_role("heading", name="Family: 12 jobs"))
    expect(card).to_contain_text("50%")
    expect(card).to_contain_text("66/132 issues")
    expect(card).to_contain_text("12 running")
    expect(card.get_by_role("row")).to_have_count(11)
    # The job that they are part of may end before they do.
    seed(url, whole, [{"status": "completed"}])
    expect(page.locator(".job-status", has_text="finished").first).to_be_visible()
    seed(url, f"{whole}-00", [{"itemsByType": {"commits": 11}}])
    expect(card).to_contain_text("77/132 items", timeout=30_000)
    card.get_by_role("link", name="All 12 jobs").click()
    expect(page.locator("[data-job]")).to_have_count(12)
    page.goto(job_page(f"{whole}-03"))
    page.get_by_role("link", name=whole, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(whole)


def test_a_run_is_shown_beside_the_runs_of_its_series(shared: "Site") -> None:
    """What is usual, when it will be done, that it is unusual; and two runs side by side by a click."""
    series, url = new_id("series"), shared.web.database_url
    began = datetime.now(UTC) - timedelta(minutes=30)
    for number, items in enumerate((40, 44, 42, 2)):
        minutes = range(11 if number < 3 else 6)
        updates: list[dict[str, object]] = [
            {
                "timestamp": (began + timedelta(minutes=minute)).isoformat(),
                "itemsByType": {"pages": items if minute else 0},
            }
            for minute in minutes
        ]
        if number < 3:
            updates.append({"timestamp": (began + timedelta(minutes=10)).isoformat(), "status": "completed"})
        seed(url, f"{series}-{number}", updates, {"series": series})
    page = shared.open(job_page(f"{series}-3"))
    card = page.locator(".card", has=page.get_by_role("heading", name=f"Series: {series}"))
    expect(card.get_by_role("alert")).to_contain_text(
        "Unusual: 10 items, where each of the 3 runs before had at least 200"
    )
    expect(card.locator("dl")).to_contain_text("Usual by then")
    expect(card.locator("dl")).to_contain_text("200 to 220, 3 runs")
    expect(card.locator("dl")).to_contain_text("Expected end")
    expect(card.get_by_role("img", name="Items over time: this run 10, the runs before up to 440")).to_be_visible()
    card.get_by_role("button", name=f"Compare with {series}-1").click()
    beside = card.get_by_role("table", name="Two runs side by side")
    expect(beside.get_by_role("row", name="pages")).to_contain_text("-430")
    expect(page).to_have_url(re.compile(f"with={series}-1"))
    page.reload()
    expect(beside).to_be_visible()
    card.get_by_role("link", name=f"{series}-2").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"{series}-2")
    page.get_by_role("link", name=series, exact=True).click()
    expect(page.locator("[data-job]")).to_have_count(4)


def test_items_and_stages_are_those_of_the_ledger(shared: "Site") -> None:
    """A bar for each type, largest first, and each stage with its duration."""
    job_id = new_id()
    seed(
        shared.web.database_url,
        job_id,
        [
            {"status": "started", "stage": "discover", "itemsByType": {"groups": 2}},
            {"stage": "collect", "itemsByType": {"issues": 1234, "commits": 20}, "processedItems": 30},
            {"stage": "collect", "itemsByType": {"issues": 1}, "processedItems": 60, "totalItems": 120},
        ],
    )
    page = shared.open(job_page(job_id))
    bars = page.get_by_role("list", name="Items by type").get_by_role("listitem")
    expect(bars).to_have_count(3)
    for bar, (name, items) in zip(bars.all(), [("issues", "1,235"), ("commits", "20"), ("groups", "2")], strict=True):
        expect(bar).to_contain_text(name)
        expect(bar.locator(".type-count")).to_have_text(items)
    expect(page.get_by_label("Progress of the job")).to_have_attribute("value", "50")
    rows = page.locator("table.stages tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text("discover")
    expect(rows.nth(1)).to_contain_text("so far")
    expect(page.locator(".events > li")).to_have_count(3)
    expect(page.locator(".events > li").first).to_contain_text("60 of 120 processed")


def test_a_long_story_is_read_to_its_beginning_and_narrowed_down_to_kinds(shared: "Site") -> None:
    """400 events, page by page, each once; the chosen kinds are in the address, and survive a reload."""
    job_id, url = new_id(), shared.web.database_url
    wrong = {"error": {"type": "Oops", "message": "it broke"}}
    seed(url, job_id, [{"processedItems": number, **(wrong if number % 40 == 0 else {})} for number in range(1, 401)])
    page = shared.open(job_page(job_id))
    expect(page.locator(".events [data-seq='400']")).to_be_visible()
    assert shown_to_the_end(page) == ledger(url, job_id)[::-1]
    page.evaluate("scrollTo(0, 0)")
    chips = page.get_by_role("group", name="Kinds of events")
    chips.get_by_role("button", name="Errors").click()
    expect(page).to_have_url(re.compile("event=error"))
    expect(page.locator(".events > li")).to_have_count(10)
    assert shown(page) == list(range(400, 0, -40))
    page.reload()
    expect(page.locator(".events > li")).to_have_count(10)
    expect(chips.get_by_role("button", name="Errors")).to_have_attribute("aria-pressed", "true")
    seed(url, job_id, [{"processedItems": 401}, {"processedItems": 402, **wrong}])
    expect(page.locator(".events > li")).to_have_count(11)
    assert shown(page)[:2] == [402, 400]
    chips.get_by_role("button", name="All").click()
    expect(page.locator(".events [data-seq='401']")).to_be_visible()


def test_errors_are_told_with_their_stacks(shared: "Site") -> None:
    """Newest first, with everything that the crawler sent."""
    job_id = new_id()
    stack = "Traceback:\n  File x.py, line 1"
    errors = [
        {"error": {"type": "Timeout", "message": f"number {number}", "code": "E1", "stack": stack, "context": {"a": 1}}}
        for number in range(25)
    ]
    seed(shared.web.database_url, job_id, errors)
    page = shared.open(job_page(job_id, tab="errors"))
    listed = page.locator("main ol > li")
    expect(listed).to_have_count(20)
    expect(listed.first).to_contain_text("number 24")
    expect(listed.first.get_by_label("Stack")).to_have_text(stack)
    expect(listed.first).to_contain_text("E1")
    page.get_by_role("button", name="Older errors").click()
    expect(listed).to_have_count(25)
    expect(listed.last).to_contain_text("number 0")


def test_areas_are_a_tree_that_the_keyboard_unfolds(shared: "Site") -> None:
    """Each discovered area is below the one that it belongs to."""
    job_id = new_id()
    areas = [{"type": "group", "fullPath": f"g{number}", "name": f"Group {number}"} for number in range(6)]
    areas += [{"type": "project", "fullPath": "g0/p", "name": "Deep", "parentPath": "g0"}]
    seed(shared.web.database_url, job_id, [{"status": "new_areas_discovered", "areas": areas}])
    page = shared.open(job_page(job_id, tab="areas"))
    tree = page.locator("[data-area]")
    expect(tree).to_have_count(6)
    page.locator("summary").filter(has_text="Group 0").focus()
    page.keyboard.press("Enter")
    expect(page.locator("[data-area='g0/p']")).to_contain_text("Deep")
    # New areas join the tree, and unfolded ones stay unfolded.
    more = [{"type": "project", "fullPath": "g0/q", "name": "Deep, too", "parentPath": "g0"}]
    seed(shared.web.database_url, job_id, [{"status": "new_areas_discovered", "areas": more}])
    expect(page.locator("[data-area='g0/q']")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator("[data-area='g0/p']")).not_to_be_visible()


def test_a_job_without_credentials_says_what_is_to_do(shared: "Site") -> None:
    """The crawler's message is shown until the crawler goes on."""
    job_id = new_id()
    credential = {"providerId": "gitlab", "message": "401 from the API", "adminGuidance": ["Make a new token"]}
    seed(shared.web.database_url, job_id, [{"status": "credential_expiry", "credentialStatus": credential}])
    page = shared.open(job_page(job_id))
    alert = page.get_by_role("alert")
    for text in ("The credentials have expired", "401 from the API", "Make a new token", "gitlab"):
        expect(alert).to_contain_text(text)
    seed(shared.web.database_url, job_id, [{"processedItems": 1}])
    expect(alert).to_have_count(0)


def test_the_state_is_told_as_it_is_and_as_it_was(shared: "Site") -> None:
    """Where the job resumes, and all of its state as JSON with exact numbers, now and after any event."""
    job_id, huge = new_id(), 2**53 + 1
    seed(
        shared.web.database_url,
        job_id,
        [
            {"processedItems": 10, "totalItems": 20, "lastProcessedId": "ten", "stage": "first"},
            {"processedItems": 15, "lastProcessedId": "fifteen", "progress": {"cursor": "abc"}, "stage": "second"},
        ],
        {"owner": "team a", "huge": huge},
    )
    page = shared.open(job_page(job_id, tab="state"))
    expect(page.get_by_text("Last processed: fifteen")).to_be_visible()
    expect(page.locator("main")).to_contain_text('"cursor": "abc"')
    expect(page.locator("main")).to_contain_text("team a")
    expect(page.get_by_text("rounded; exact in the raw JSON")).to_have_count(1)
    page.get_by_role("button", name="Show", exact=True).click()
    raw = page.get_by_label("The job as JSON")
    expect(raw).to_contain_text(str(huge))
    assert json.loads(raw.inner_text())["id"] == job_id
    tab(page, "Progress")
    page.locator(".events [data-seq='1'] summary").click()
    page.get_by_role("button", name="State at this point").click()
    expect(page).to_have_url(re.compile("at=1"))
    expect(page.get_by_text("As it was after event 1 of 2")).to_be_visible()
    expect(page.get_by_label("Progress of the job")).to_have_attribute("value", "50")
    page.reload()
    expect(page.get_by_label("Progress of the job")).to_have_attribute("value", "50")
    tab(page, "State")
    expect(page.get_by_text("Last processed: ten")).to_be_visible()
    page.get_by_role("button", name="One event later").click()
    expect(page.get_by_text("Last processed: fifteen")).to_be_visible()
    page.get_by_role("button", name="Back to now").click()
    expect(page).not_to_have_url(re.compile("at="))


def test_verify_names_what_differs(shared: "Site") -> None:
    """If nothing differs, the page says so."""
    job_id, url = new_id(), shared.web.database_url
    seed(url, job_id, [{"processedItems": 10, "totalItems": 20}])
    page = shared.open(job_page(job_id))
    page.get_by_role("button", name="Verify").click()
    expect(page.get_by_text("Exact: the state matches its ledger of 1 event.")).to_be_visible()
    execute(
        url, "UPDATE tallymark.job SET progress = jsonb_set(progress, '{processedItems}', '11') WHERE id = %s", job_id
    )
    page.get_by_role("button", name="Verify").click()
    expect(page.get_by_text("Not exact")).to_be_visible()
    row = page.get_by_role("row").filter(has_text="processed")
    expect(row).to_contain_text("11")
    expect(row).to_contain_text("10")


def test_a_pause_goes_through_to_the_crawler_and_the_page_says_how_far_it_got(shared: "Site") -> None:
    """Requested, waiting, sent with the next acknowledgement, and obeyed."""
    web: Web = shared.web
    job_id = new_id()
    seed(web.database_url, job_id, [{"processedItems": 1}])
    page = shared.open(job_page(job_id))
    page.get_by_role("button", name="Pause").click()
    expect(
        page.get_by_text("Requested: pause. The crawler gets the command with the answer to its next report.")
    ).to_be_visible()
    assert web.report(update(job_id, processedItems=2)).json["command"] == "pause"
    expect(page.locator(".events")).to_contain_text("Asked the crawler to pause")
    seed(web.database_url, job_id, [{"status": "paused"}])
    expect(page.get_by_text("The crawler has obeyed the command to pause. The job is paused now.")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("[data-command='resume']")).to_be_visible()
    seed(web.database_url, job_id, [{"status": "processing"}])
    expect(page.get_by_text("has obeyed the command to resume. The job is running now")).to_be_visible()


def test_a_job_is_cancelled_only_by_who_means_it(shared: "Site") -> None:
    """The page asks for confirmation. A job that has ended takes no commands."""
    job_id, url = new_id(), shared.web.database_url
    seed(url, job_id, [{"processedItems": 1}])
    command = "SELECT tallymark.get_job(%s, 0) ->> 'command'"
    page = shared.open(job_page(job_id))
    page.get_by_role("button", name="Cancel…").click()
    expect(page.get_by_role("dialog")).to_contain_text(job_id)
    page.get_by_role("button", name="Keep it running").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Cancel…").click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert scalar(url, command, job_id) is None
    page.get_by_role("button", name="Cancel…").click()
    page.get_by_role("button", name="Cancel the job").click()
    expect(page.locator("[data-command='cancel']")).to_be_visible()
    assert scalar(url, command, job_id) == "cancel"
    seed(url, job_id, [{"status": "cancelled"}])
    expect(page.get_by_text("has obeyed the command to cancel. The job is cancelled now")).to_be_visible()
    expect(page.get_by_role("button", name="Cancel…")).to_have_count(0)
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)


def test_who_may_only_read_has_no_buttons_and_who_is_for_other_jobs_sees_nothing(
    site: "Site", db: "psycopg.Connection"
) -> None:
    """The page says why."""
    for job_id in ("mine", "theirs"):
        seed(site.web.database_url, job_id, [{"processedItems": 1}])
    token = create_token(db, "operator", ["read"], job_prefix="m")
    page = site.open("/job?id=mine", token=token)
    expect(page.get_by_role("button", name="Verify")).to_be_visible()
    for name in ("Pause", "Cancel…"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)
    page.goto("/job?id=theirs")
    expect(page.get_by_text("You may not see this job")).to_be_visible()
    page.goto("/")
    expect(page.locator("[data-job]")).to_have_count(1)
    page.goto("/job?id=nobody")
    expect(page.get_by_text("You may not see this job")).to_be_visible()
    admin = site.open("/job?id=nobody")
    expect(admin.get_by_text("There is no such job")).to_be_visible()
    seed(site.web.database_url, "nobody", [{"processedItems": 1}])
    admin.goto("/job")
    admin.get_by_role("link", name="overview", exact=True).click()
    expect(admin.locator("[data-job='nobody']")).to_be_visible()


def test_a_job_that_pauses_has_no_rate_and_no_time_left(shared: "Site") -> None:
    """Also not those that were read while it was running, however long the next answer takes."""
    job_id, url = new_id(), shared.web.database_url
    counts = [{"processedItems": 10 * number, "totalItems": 1000} for number in range(1, 6)]
    seed(url, job_id, counts)
    execute(
        url,
        "UPDATE tallymark.job_event SET recorded_at = recorded_at - (6 - seq) * interval '1 s' WHERE job_id = %s",
        job_id,
    )
    page = shared.open(job_page(job_id))
    head = page.get_by_role("region", name="Progress")
    for name in ("Rate", "Time left"):
        expect(head.get_by_text(name, exact=True)).to_be_visible()
    page.route("**/rate", lambda _route: None)  # this answer never comes
    seed(url, job_id, [{"status": "paused"}])
    expect(page.locator(".job-title")).to_contain_text("paused")
    for name in ("Rate", "Time left"):
        expect(head.get_by_text(name, exact=True)).to_have_count(0)
    expect(head).to_contain_text("50/1,000 items")
    page.unroute("**/rate")


def test_a_job_that_counts_only_by_type_shows_how_far_it_is(shared: "Site") -> None:
    """On its page and in the overview, as SQL says; when it is done it is at 100%."""
    job_id, url = new_id(), shared.web.database_url
    seed(url, job_id, [{"status": "started", "totalItems": 300}, {"itemsByType": {"issues": 100, "notes": 50}}])
    page = shared.open(job_page(job_id))
    bar = page.get_by_label("Progress of the job")
    expect(page.get_by_role("region", name="Progress")).to_contain_text("150/300 items")
    expect(bar).to_have_attribute("value", "50")
    seed(url, job_id, [{"status": "completed", "itemsByType": {"notes": 150}}])
    expect(page.get_by_role("region", name="Progress")).to_contain_text("300/300 items")
    expect(bar).to_have_attribute("value", "100")
    page.goto(f"/?q={job_id}")
    line = page.locator(f"tr[data-job='{job_id}']")
    expect(line).to_contain_text("100%")
    expect(line).to_contain_text("300/300 items")


def test_the_link_of_an_alert_shows_the_job(shared: "Site") -> None:
    """Whatever its id is, and after signing in."""
    job_id = f'{new_id()}/a & "b" ? # % + ü 鍵'
    seed(shared.web.database_url, job_id, [{"status": "failed", "error": "no answer in 30 s"}])
    page = shared.open(addresses.job_page(job_id))
    expect(page.get_by_role("heading", level=1)).to_have_text(job_id)
    expect(page.locator(".job-title")).to_contain_text("failed")
