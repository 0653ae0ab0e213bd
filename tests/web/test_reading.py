"""Reading across jobs over HTTP: the list and its filters."""

import secrets
from collections.abc import Callable, Iterator
from threading import Event, Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import psycopg
import pytest

from tallymark.functions.jobs import accumulation_history, job_at, list_jobs
from tallymark.functions.stats import (
    areas_tree,
    error_groups,
    job_areas,
    job_rate,
    jobs_per_day,
    stage_durations,
    stalled_jobs,
    update_frequency,
)

if TYPE_CHECKING:
    from tests.web.conftest import Web

Update = Callable[..., dict[str, object]]

JOBS = "/api/internal/jobs"
PAGES = ("jobs", "areas", "errors", "stalled", "days")


def pages(web: "Web", **query: object) -> Iterator[list[dict[str, Any]]]:
    """Follow `next` through the list."""
    cursor: str | None = ""
    while cursor is not None:
        page = web.call("GET", f"{JOBS}?{urlencode({**query, 'cursor': cursor})}").json
        yield page["jobs"]
        cursor = page["next"]


@pytest.fixture
def mark(web: "Web") -> str:
    """A text that is only in the ids of this test's five jobs."""
    text = secrets.token_hex(6)
    for number in range(5):
        assert web.register(f"list/{text}%_ü {number}").status == 201
    return text


def test_the_list_is_read_page_by_page(web: "Web", mark: str) -> None:
    """Every job once, in the order of the ids, in the form of a single job without its timeline."""
    found = list(pages(web, q=mark, limit=2))
    assert [len(page) for page in found] == [2, 2, 1]
    jobs = [job for page in found for job in page]
    assert [job["id"] for job in jobs] == [f"list/{mark}%_ü {number}" for number in range(5)]
    alone = web.call("GET", f"{JOBS}/{quote(jobs[0]['id'], safe='')}").json
    assert alone["progress"].pop("timeline") == []
    assert jobs[0] == alone


def test_jobs_are_found_by_what_they_are_at(web: "Web", mark: str, update: Update) -> None:
    """Each filter, alone and together; an empty one, as forms send it, has no effect."""
    one, two = (f"list/{mark}%_ü {number}" for number in (1, 2))
    web.report(update(one, stage=mark, operationType="discovery", currentDataType=f"d{mark}", itemsByType={mark: 1}))
    web.report(update(two, stage=mark, itemsByType={mark: 1, "b": 1}, status="completed"))

    def ids(**query: str) -> list[str]:
        return [job["id"] for page in pages(web, **{"q": mark, **query}) for job in page]

    assert ids(stage=mark) == ids(itemType=mark) == [one, two]
    assert ids(currentDataType=f"d{mark}") == ids(operationType="discovery") == ids(status="running") == [one]
    assert ids(stage=mark, status="finished") == ids(itemType="b", stage=mark) == [two]
    assert ids(q=f"{mark}%_ü 3") == [f"list/{mark}%_ü 3"]
    assert ids(stage="", status="", updatedSince="", limit="100") == ids()
    assert len(ids()) == 5
    updated = web.call("GET", f"{JOBS}/{quote(two, safe='')}").json["updatedAt"]
    assert two in ids(updatedSince=updated)
    assert ids(updatedSince="9999-12-31T23:59:59+01:00") == []
    assert len(ids(updatedSince="2020-01-01T00:00:00+01:00:00.5")) == len(ids(updatedSince="2020-01-01")) == 5


def test_jobs_are_found_by_what_they_were_registered_with(web: "Web", mark: str) -> None:
    """Each attribute by its text, a number too; the series and the parent; and all of these together."""
    for number, attributes in enumerate([{"team": "a&b=ü", "size": 3, "series": "s"}, {"team": "a&b=ü", "size": "3"}]):
        body = {"taskId": f"{mark}/{number}", "attributes": attributes, "parent": f"{mark}/all"}
        assert web.call("POST", JOBS, body).status == 201

    def ids(**query: str) -> list[str]:
        return [job["id"] for page in pages(web, **{"q": f"{mark}/", **query}) for job in page]

    both = [f"{mark}/0", f"{mark}/1"]
    assert ids(**{"attribute.team": "a&b=ü"}) == ids(parent=f"{mark}/all") == ids(**{"attribute.size": "3"}) == both
    assert ids(**{"attribute.team": "a&b=ü", "attribute.series": "s"}) == ids(series="s") == both[:1]
    assert ids(**{"attribute.team": "a"}) == ids(**{"attribute.team": "a&b=ü", "attribute.size": "4"}) == []
    assert len(ids(**{"attribute.team": ""}, series="", parent="")) == 2
    assert web.call("GET", f"{JOBS}/{quote(both[0], safe='')}").json["parent"] == f"{mark}/all"
    answer = web.call("GET", f"{JOBS}?attribute.=x&attribute=x&attribute.a=1&attribute.a=2&attribute.b=%00")
    assert answer.status == 400
    assert {problem["field"] for problem in answer.json["details"]} == {
        *("attribute.", "attribute", "attribute.a", "attribute.b")
    }
    nine = "&".join(f"attribute.a{number}=x" for number in range(9))
    [problem] = web.call("GET", f"{JOBS}?{nine}").json["details"]
    assert problem == {"field": "attributes", "problem": "must have at most 8 members"}


def test_a_blank_that_was_a_plus_is_taken_for_one(web: "Web", mark: str) -> None:
    """People who paste a time with its offset into an address do not write %2B."""
    assert web.call("GET", f"{JOBS}?q={mark}&updatedSince=2020-01-01T00:00:00+01:00").json["jobs"] != []


def test_every_problem_of_a_query_is_named(web: "Web") -> None:
    """400 with all problems at once."""
    answer = web.call(
        "GET", f"{JOBS}?limit=x&updatedSince=9999-12-31T23:59:59-01:00&cursor=no&q=a%00&status=running&sort=%00"
    )
    assert (answer.status, answer.json["error"]) == (400, "Invalid query")
    assert {problem["field"] for problem in answer.json["details"]} == {"limit", "updatedSince", "cursor", "q", "sort"}


@pytest.mark.parametrize(
    "path",
    [
        *(f"/api/internal/{name}" for name in (*PAGES, "overview", "statuses", "rates", "throughput", "frequency")),
        *(f"/api/internal/{name}" for name in ("accuracy", "database", "failures")),
        *(
            f"{JOBS}/{{job}}",
            f"{JOBS}/{{job}}?timelineLimit=1",
            f"{JOBS}/{{job}}?at=0",
            f"{JOBS}/{{job}}/timeline?before=",
        ),
        *(f"{JOBS}/{{job}}/{part}" for part in ("timeline", "areas", "rate", "stages", "verify", "diagnosis")),
        *(f"{JOBS}/{{job}}/history?field=stage", "/api/internal/endpoint", "/events", "/events?job={job}"),
    ],
)
def test_a_parameter_that_a_call_does_not_have_is_named(web: "Web", job: str, path: str) -> None:
    """400 for each unknown one, whatever its value; the same address without them is answered."""
    path = path.format(job=job)
    assert web.call("GET", path).status == 200
    mark = "&" if "?" in path else "?"
    answer = web.call("GET", f"{path}{mark}sort=updatedAt&attributes=&Limit=1&Limit=2")
    assert (answer.status, answer.json["error"]) == (400, "Invalid query")
    assert [problem["field"] for problem in answer.json["details"]] == ["sort", "attributes", "Limit"]


def test_an_answer_names_what_a_call_has_instead(web: "Web", job: str) -> None:
    """The parameters of the call; and of a thousand unknown ones it names only some."""
    [problem] = web.call("GET", f"{JOBS}?sorted=id").json["details"]
    assert problem["problem"].endswith(
        "status, stage, operationType, currentDataType, itemType, attribute.NAME, series, parent, "
        "updatedSince, q, limit, cursor"
    )
    for query in ("x=1", "before=&x=1", "after=1&before=2&x=1"):
        [problem] = web.call("GET", f"{JOBS}/{job}/timeline?{query}").json["details"]
        assert problem["problem"].endswith(": the parameters are after, before, limit, event")
    detail = web.call("GET", f"{JOBS}/{job}/timeline?x=1&limit=no&y=").json["detail"]
    assert detail == (
        "limit must be a whole number, 0 or greater; "
        "x, y are not parameters of this request: the parameters are after, before, limit, event"
    )
    [problem] = web.call("GET", "/api/internal/database?x=1").json["details"]
    assert problem["problem"].endswith("there are no parameters")
    query = "&".join(f"x{number}=" for number in range(1000))
    assert len(web.call("GET", f"{JOBS}?{query}").json["details"]) == 20


def test_what_is_sent_keeps_its_query_to_itself(web: "Web", job: str, update: Update) -> None:
    """Crawlers of the original may report to an address with a query."""
    answer = web.call("POST", "/api/internal/jobs/progress?source=x", update(job, processedItems=1))
    assert answer.status == 200


def test_an_id_that_looks_like_a_part_of_a_job_has_the_parameters_of_a_job(web: "Web", mark: str) -> None:
    """And not those of the part, unless there is a job of which it is one."""
    whole, short = f"{mark}x/timeline", f"{mark}x"
    assert web.register(whole).status == 201

    def fields(query: str, job: str = whole) -> object:
        answer = web.call("GET", f"{JOBS}/{quote(job, safe='')}?{query}")
        return answer.status if answer.status != 400 else [problem["field"] for problem in answer.json["details"]]

    assert fields("timelineLimit=1") == 200
    assert fields("after=1") == ["after"]
    assert fields("timelineLimit=1&sort=x") == ["sort"]
    assert fields("after=1", f"nobody{whole}") == 404
    assert fields("timelineLimit=1", f"nobody{whole}") == ["timelineLimit"]
    assert web.register(short).status == 201
    assert fields("timelineLimit=1") == ["timelineLimit"]
    assert fields("after=1") == 200


@pytest.mark.parametrize("cursor", ["x", "616", "ff", "00", "61 61 ", "6100", "ü", "6" * 5000])
def test_a_cursor_that_no_page_gave_harms_nothing(web: "Web", cursor: str) -> None:
    """It is refused, or is the place of an id that no job has."""
    answer = web.call("GET", f"{JOBS}?limit=1&{urlencode({'cursor': cursor})}")
    assert answer.status in {200, 400}
    if answer.status == 400:
        assert answer.json["details"][0]["field"] == "cursor"


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_read_without_a_token(web: "Web", name: str) -> None:
    """401, as everywhere."""
    assert web.call("GET", f"/api/internal/{name}", token=None).status == 401
    assert web.call("GET", f"/api/internal/{name}", token="wrong").status == 401


@pytest.mark.parametrize("name", PAGES)
def test_there_is_a_page_of_each(web: "Web", name: str) -> None:
    """200 and an array under its name."""
    answer = web.call("GET", f"/api/internal/{name}")
    assert answer.status == 200
    assert isinstance(answer.json["jobs" if name == "stalled" else name], list)


def test_errors_areas_and_days_are_told_across_jobs(web: "Web", mark: str, update: Update) -> None:
    """They have what crawlers reported."""
    for number in range(2):
        job_id = f"list/{mark}%_ü {number}"
        error = {"type": mark, "message": f"timeout after {number} s"}
        web.report(update(job_id, error=error, areas=[{"fullPath": mark, "type": "group", "name": "n"}]))
    groups = [group for group in web.call("GET", "/api/internal/errors").json["errors"] if group["type"] == mark]
    assert [(group["message"], group["count"], group["jobs"]) for group in groups] == [
        ("timeout after <number> s", 2, 2)
    ]
    areas = web.call("GET", f"/api/internal/areas?root={mark}").json["areas"]
    assert areas == [{"path": mark, "parent": None, "depth": 0, "type": "group", "name": "n", "jobs": 2}]
    assert len(web.call("GET", "/api/internal/days?days=7").json["days"]) == 7
    bad = web.call("GET", "/api/internal/errors?since=x&limit=y")
    assert [problem["field"] for problem in bad.json["details"]] == ["since", "limit"]


def test_a_job_is_listed_once_while_others_come_and_change(web: "Web", mark: str, update: Update) -> None:
    """Every job that exists all the time is on exactly one page, whatever is written meanwhile."""
    there = {f"busy {mark} {number:03}" for number in range(60)}
    for job_id in there:
        web.register(job_id)
    stop = Event()
    failed: list[object] = []

    def disturb(part: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            # New jobs come before, between and after the others, and existing ones change.
            new = f"busy {mark} {number % 60:03} {part} {number}"
            merged = update(
                f"busy {mark} {number % 60:03}", processedItems=number, stage=f"s{number % 3}", workerId=str(part)
            )
            for answer in (web.register(new), web.report(merged)):
                if answer.status not in {200, 201}:
                    failed.append(answer)
                    return

    writers = [Thread(target=disturb, args=(part,)) for part in range(2)]
    for writer in writers:
        writer.start()
    try:
        for _ in range(3):
            seen = [job["id"] for page in pages(web, q=f"busy {mark}", limit=7) for job in page]
            assert len(seen) == len(set(seen))
            assert there <= set(seen)
            assert seen == sorted(seen, key=str.encode)
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert not failed


def test_python_reads_the_same(web: "Web", mark: str, update: Update) -> None:
    """The typed functions return the same as HTTP."""
    job_id = f"list/{mark}%_ü 1"
    moved = update(job_id, stage="one", processedItems=5, totalItems=50, itemsByType={"a": 1})
    web.report(moved)
    web.report(update(job_id, error={"type": mark, "message": "no"}, areas=[{"fullPath": f"a{mark}", "type": "group"}]))
    path = f"{JOBS}/{quote(job_id, safe='')}"
    with psycopg.connect(web.database_url) as connection:
        assert list_jobs(connection, q=mark, max_jobs=2) == web.call("GET", f"{JOBS}?q={mark}&limit=2").json
        assert job_at(connection, job_id, 1) == web.call("GET", f"{path}?at=1").json
        assert [step.value for step in accumulation_history(connection, job_id, "processedItems")] == [5]
        assert set(job_rate(connection, job_id)) <= set(web.call("GET", f"{path}/rate").json)
        assert [stage.stage for stage in stage_durations(connection, job_id)] == ["one"]
        assert update_frequency(connection, job_id).updates == 2
        assert [group.errors for group in error_groups(connection, max_groups=1000) if group.type == mark] == [1]
        assert stalled_jobs(connection, id_prefix=job_id) == []
        (area,) = areas_tree(connection, f"a{mark}")
        assert (area.type, area.jobs) == ("group", 1)
        assert job_areas(connection, job_id) == [area]
        assert len(jobs_per_day(connection, days=3)) == 3
