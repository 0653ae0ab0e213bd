"""The data of the overview over HTTP: the newest jobs, counts, rates, and the comparison with the ledger."""

import secrets
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import psycopg
import pytest

from tallymark import functions
from tallymark.functions.jobs import job_changes, newest_jobs, timeline, timeline_before
from tallymark.functions.stats import (
    busiest_jobs,
    database_figures,
    error_groups,
    events_per_minute,
    job_rates,
    jobs_by_status,
    verify_newest,
)
from tallymark.functions.tokens import create_token

if TYPE_CHECKING:
    from tests.web.conftest import Web

Connection = psycopg.Connection[Any]
Update = Callable[..., dict[str, object]]
StartWeb = Callable[..., "Web"]

API = "/api/internal"
#: The answer at each name, and its members that are about jobs.
PAGES = {
    "overview": {"jobs", "next"},
    "statuses": {"statuses", "jobs", "more"},
    "rates": {"rates"},
    "throughput": {"minutes", "eventsPerSecond", "errorsPerMinute"},
    "frequency": {"jobs"},
    "accuracy": {"checked", "exact", "differing", "skipped"},
    "database": {"version", "bytes", "startedAt", "replica", "tables"},
}


@pytest.fixture
def mark(web: "Web") -> str:
    """A text that is only in the ids of this test's five jobs."""
    text = secrets.token_hex(6)
    for number in range(5):
        assert web.register(name(text, number)).status == 201
    return text


def name(mark: str, number: int) -> str:
    """Return the id of a job."""
    return f'over/{mark}"\\,{{}} ü {number}'


def read(web: "Web", path: str, *query: tuple[str, object], token: str | None = None) -> Any:  # noqa: ANN401 - JSON
    """Return the answer at a path."""
    address = f"{API}/{path}?{urlencode(query)}"
    answer = web.call("GET", address) if token is None else web.call("GET", address, token=token)
    assert answer.status == 200, answer.body
    return answer.json


def pages(web: "Web", *query: tuple[str, object]) -> Iterator[list[str]]:
    """Follow `next` through the overview."""
    cursor: str | None = ""
    while cursor is not None:
        page = read(web, "overview", *query, ("cursor", cursor))
        yield [job["id"] for job in page["jobs"]]
        cursor = page["next"]


@pytest.mark.parametrize("page", PAGES)
def test_there_is_a_page_of_each_and_none_without_a_token(web: "Web", page: str) -> None:
    """200 with the documented form; 401 without a token."""
    assert set(read(web, page)) == PAGES[page]
    assert web.call("GET", f"{API}/{page}", token=None).status == 401
    assert web.call("GET", f"{API}/{page}", token="wrong").status == 401


def test_the_overview_is_read_page_by_page(web: "Web", mark: str, update: Update) -> None:
    """Every job once, newest first, whatever is reported meanwhile; a row has few fields of a job."""
    found = []
    for page in pages(web, ("q", mark), ("limit", 2)):
        found.append(page)
        web.report(update(name(mark, 0), processedItems=len(found)))
    assert found == [[name(mark, 4), name(mark, 3)], [name(mark, 2), name(mark, 1)], [name(mark, 0)]]
    web.report(update(name(mark, 1), error={"type": "T", "message": "m" * 999}, stage="s", message="long"))
    (line,) = read(web, "overview", ("q", name(mark, 1)))["jobs"]
    assert line["error"] == {"type": "T", "message": "m" * 200}
    assert (line["stage"], line["status"], line["lastSeq"]) == ("s", "running", 1)
    assert "message" not in line
    assert "progress" not in line


def test_the_overview_is_filtered_as_the_list_is(web: "Web", mark: str, update: Update) -> None:
    """Each filter, alone and together; an empty one has no effect."""
    one, two = name(mark, 1), name(mark, 2)
    web.report(update(one, stage=mark, operationType="discovery", currentDataType=f"d{mark}", itemsByType={mark: 1}))
    web.report(update(two, stage=mark, itemsByType={mark: 1, "b": 1}, status="completed"))

    def ids(*query: tuple[str, object]) -> list[str]:
        return [job["id"] for job in read(web, "overview", ("q", mark), *query)["jobs"]]

    assert ids(("stage", mark)) == ids(("itemType", mark)) == [two, one]
    assert ids(("currentDataType", f"d{mark}")) == ids(("operationType", "discovery")) == ids(("status", "running"))
    assert ids(("stage", mark), ("status", "finished")) == [two]
    assert ids(("status", "no such status")) == []
    assert len(ids(("stage", ""), ("status", ""), ("limit", 100))) == 5


def test_the_overview_finds_what_jobs_were_registered_with(web: "Web", mark: str) -> None:
    """Attributes, series and parent, as the list does."""
    body = {"taskId": f"{mark}/0", "attributes": {"team": "search", "series": "s"}, "parent": f"{mark}/all"}
    assert web.call("POST", "/api/internal/jobs", body).status == 201

    def ids(*query: tuple[str, object]) -> list[str]:
        return [job["id"] for job in read(web, "overview", ("q", f"{mark}/"), *query)["jobs"]]

    assert ids(("attribute.team", "search"), ("series", "s"), ("parent", f"{mark}/all")) == [f"{mark}/0"]
    assert ids(("attribute.team", "other")) == ids(("series", "t")) == ids(("parent", "p")) == []


@pytest.mark.parametrize("cursor", ["x", "616", "ff", "00", "6161", "3120ff", "6100", "6" * 5000])
def test_what_no_page_gave_is_no_cursor(web: "Web", cursor: str) -> None:
    """Other cursors are refused."""
    answer = web.call("GET", f"{API}/overview?limit=1&cursor={cursor}")
    assert (answer.status, answer.json["details"][0]["field"]) == (400, "cursor")


def test_every_problem_of_a_query_is_named(web: "Web") -> None:
    """400 with all problems at once."""
    for query, fields in {
        "overview?limit=x&cursor=no&q=a%00&status=running": {"limit", "cursor", "q"},
        "statuses?atMost=-1": {"atMost"},
        "rates?id=a%00&window=x": {"id", "window"},
        "rates?window=0": {"window"},
        "rates?window=1&window=2": {"window"},
        "overview?status=failed&status=running&cursor=a&cursor=b": {"status", "cursor"},
        "rates?" + "&".join(f"id={number}" for number in range(101)): {"id"},
        "rates?" + "&".join(["id="] * 101): {"id"},
        "throughput?minutes=x": {"minutes"},
        "frequency?limit=x": {"limit"},
        "accuracy?jobs=x": {"jobs"},
    }.items():
        answer = web.call("GET", f"{API}/{query}")
        assert (answer.status, answer.json["error"]) == (400, "Invalid query"), query
        assert {problem["field"] for problem in answer.json["details"]} == fields


def test_rates_are_those_of_each_job(web: "Web", mark: str, update: Update) -> None:
    """Ids may have any characters; ids of no job are left out."""
    web.report(update(name(mark, 1), processedItems=5, totalItems=50))
    found = read(web, "rates", ("id", name(mark, 1)), ("id", name(mark, 2)), ("id", "nobody"), ("id", ""))["rates"]
    assert set(found) == {name(mark, 1), name(mark, 2)}
    alone = read(web, f"jobs/{quote(name(mark, 1), safe='')}/rate")
    assert set(found[name(mark, 1)]) == set(alone) - {"frequency"}
    assert found[name(mark, 1)]["itemsLeft"] == alone["itemsLeft"] == 45
    assert read(web, "rates", ("id", name(mark, 1)), ("window", 60))["rates"][name(mark, 1)]["windowSeconds"] == 60


def test_a_timeline_is_read_backwards(web: "Web", mark: str, update: Update) -> None:
    """From the end and from any event; `next` leads to each event once, of all kinds or of some."""
    for number in range(10):
        kind = {0: {"error": "e"}, 1: {"stage": f"s{number}"}}.get(number % 3, {})
        at = f"2025-01-06T19:15:{30 + number}Z"
        web.report(update(name(mark, 0), processedItems=number, timestamp=at, **kind))
    path = f"jobs/{quote(name(mark, 0), safe='')}/timeline"

    def seqs(*query: tuple[str, object]) -> list[int]:
        return [event["seq"] for event in read(web, path, *query)["events"]]

    forwards = read(web, path)["events"]
    assert read(web, path, ("before", 0))["events"] == read(web, path, ("before", ""))["events"] == forwards[::-1]
    page = read(web, path, ("before", 8), ("limit", 3))
    assert ([event["seq"] for event in page["events"]], page["next"]) == ([7, 6, 5], 5)
    assert seqs(("before", 0), ("event", "error")) == [10, 7, 4, 1]
    assert seqs(("before", 8), ("event", "error"), ("event", "stage_change")) == [7, 5, 4, 2, 1]
    assert seqs(("after", 2), ("event", "error"), ("event", "stage_change"), ("event", "")) == [4, 5, 7, 8, 10]
    assert seqs(("event", "x,error")) == seqs(("event", '{"error"}')) == []
    assert web.call("GET", f"{API}/{path}?before=x").status == 400
    assert web.call("GET", f"{API}/jobs/nobody/timeline?before=0").status == 404


def test_a_job_is_compared_with_its_ledger(web: "Web", mark: str, update: Update) -> None:
    """A job that was changed by hand is found, alone and among the newest."""
    web.report(update(name(mark, 4), processedItems=5))
    path = f"jobs/{quote(name(mark, 4), safe='')}/verify"
    assert read(web, path) == {"id": name(mark, 4), "verified": True, "events": 1, "differences": []}
    with psycopg.connect(web.database_url, autocommit=True) as connection:
        connection.execute(
            "UPDATE tallymark.job SET progress = progress || '{\"processedItems\": 6}' WHERE id = %s", [name(mark, 4)]
        )
        found = read(web, path)
        assert found["verified"] is False
        assert [(each["field"], each["stored"], each["folded"]) for each in found["differences"]] == [
            ("processedItems", 6, 5)
        ]
        newest = read(web, "accuracy", ("jobs", 1))
        assert newest == {"checked": 1, "exact": 0, "differing": [name(mark, 4)], "skipped": 0}
        connection.execute("DELETE FROM tallymark.job WHERE id = %s", [name(mark, 4)])
    assert web.call("GET", f"{API}/{path}").status == 404


def test_a_token_reads_only_of_the_jobs_that_it_is_for(
    start_web: StartWeb, db: Connection, db_url: str, update: Update
) -> None:
    """Also in counts; figures about all jobs are refused."""
    web = start_web(db_url)
    for job_id in ("mine 1", "mine 2", "other"):
        assert web.register(job_id).status == 201
        assert web.report(update(job_id, error="e")).status == 200
    token = create_token(db, "mine", ["read"], job_prefix="mine ")

    def mine(path: str, *query: tuple[str, object]) -> Any:  # noqa: ANN401 - JSON
        return read(web, path, *query, token=token)

    assert [job["id"] for job in mine("overview")["jobs"]] == ["mine 2", "mine 1"]
    assert mine("statuses")["jobs"] == 2
    assert set(mine("rates", ("id", "mine 1"), ("id", "other"))["rates"]) == {"mine 1"}
    throughput = mine("throughput", ("minutes", 2))
    assert sum(minute["events"] for minute in throughput["minutes"]) == throughput["errorsPerMinute"] == 2
    assert {job["id"] for job in mine("frequency")["jobs"]} == {"mine 1", "mine 2"}
    assert mine("accuracy")["checked"] == 2
    assert [group["jobs"] for group in mine("errors")["errors"]] == [2]
    assert mine("jobs/mine%201/verify")["verified"] is True
    assert web.call("GET", f"{API}/jobs/other/verify", token=token).status == 403
    assert web.call("GET", f"{API}/jobs/other/timeline?before=0", token=token).status == 403
    assert web.call("GET", f"{API}/database", token=token).status == 403
    assert read(web, "database")["replica"] is False


def test_a_run_is_held_against_the_runs_that_the_token_is_for(
    start_web: StartWeb, db: Connection, db_url: str, update: Update
) -> None:
    """Its series, two runs side by side, and all of it for a token of some jobs only."""
    web = start_web(db_url)
    for number, job_id in enumerate(("mine 1", "other", "mine 2", "mine 3")):
        assert web.register(job_id, {"series": "s"}).status == 201
        status = "completed" if number < 3 else "processing"
        assert web.report(update(job_id, itemsByType={"issues": number + 1}, status=status)).status == 200
    token = create_token(db, "mine", ["read"], job_prefix="mine ")

    def seen(path: str, *query: tuple[str, object], token: str | None = None) -> list[str]:
        return [run["id"] for run in read(web, path, *query, token=token)["runs"]]

    assert seen("series", ("series", "s")) == ["mine 3", "mine 2", "other", "mine 1"]
    assert seen("series", ("series", "s"), ("limit", 2), token=token) == ["mine 3", "mine 2"]
    assert seen("jobs/mine%203/series") == ["mine 2", "other", "mine 1"]
    assert seen("jobs/mine%203/series", token=token) == ["mine 2", "mine 1"]
    shown = read(web, "jobs/mine%203/series", ("with", "mine 1"), token=token)
    assert (shown["series"], shown["comparison"]["runs"], shown["other"]["id"]) == ("s", 2, "mine 1")
    assert (shown["run"]["items"], shown["other"]["itemsByType"]) == (4, {"issues": 1})
    assert read(web, "jobs/mine%203/series")["comparison"]["runs"] == 3
    foreign = web.call("GET", f"{API}/jobs/mine%203/series?with=other", token=token)
    assert (foreign.status, foreign.json["error"]) == (404, "Job not found")
    assert web.call("GET", f"{API}/series").json["details"] == [{"field": "series", "problem": "is required"}]
    assert (
        functions.job_series(db, "mine 3", max_runs=2)["runs"]
        == read(web, "jobs/mine%203/series", ("limit", 2))["runs"]
    )
    assert functions.series_runs(db, "s") == read(web, "series", ("series", "s"))


def test_python_reads_the_same(web: "Web", mark: str, update: Update) -> None:
    """The typed functions return the same as HTTP."""
    job_id = name(mark, 3)
    web.report(update(job_id, processedItems=5, totalItems=50))
    web.report(update(job_id, error={"type": mark, "message": "no"}))
    with psycopg.connect(web.database_url) as connection:
        assert newest_jobs(connection, q=mark, max_jobs=2) == read(web, "overview", ("q", mark), ("limit", 2))
        assert jobs_by_status(connection, at_most=1) == read(web, "statuses", ("atMost", 1))
        assert set(job_rates(connection, [job_id])["rates"]) == {job_id}
        assert len(events_per_minute(connection, minutes=3)) == 3
        assert [job.id for job in busiest_jobs(connection, id_prefix=job_id)] == [job_id]
        assert verify_newest(connection, id_prefix=job_id)["exact"] == 1
        assert database_figures(connection)["tables"] != []
        assert [event.seq for event in timeline_before(connection, job_id, event_kinds=["error"])] == [2]
        assert [event.seq for event in timeline(connection, job_id, event_kinds=["error", "x"])] == [2]
        (group,) = [group for group in error_groups(connection, max_groups=1000) if group.type == mark]
        assert (len(group.trend), sum(group.trend)) == (24, 1)
        (change,) = job_changes(connection, {job_id: 1, name(mark, 2): 0})
        assert (change["id"], [event["seq"] for event in change["events"]]) == (job_id, [2])
