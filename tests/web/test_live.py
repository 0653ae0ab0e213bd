"""Live changes of jobs: each event arrives once, at clients that may see it."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import psycopg
from tests.web.watching import Watching, ledger, new_job_id

from tallymark.functions.tokens import create_token

if TYPE_CHECKING:
    from tests.web.conftest import Web

StartWeb = Callable[..., "Web"]
Update = Callable[..., dict[str, object]]
Connection = psycopg.Connection[Any]


def test_an_update_reaches_those_who_watch_its_job(web: "Web", job: str, update: Update) -> None:
    """The job as it is now, and the event as in the timeline. The first message comes at once."""
    with Watching(web, job=job) as watching:
        assert watching.answer.getheader("content-type") == "text/event-stream"
        first = watching.next("job")
        assert (first["id"], first["lastSeq"], first["events"], first["skipped"]) == (job, 1, [], 0)
        web.report(update(job, itemsByType={"issues": 4}))
        told = watching.next("job")
    page = web.call("GET", f"/api/internal/jobs/{job}/timeline?after=1").json
    assert told["events"] == page["events"]
    assert told["job"]["progress"]["itemsByType"] == {"issues": 7}
    assert told["tag"] == web.call("GET", f"/api/internal/jobs/{job}").headers["etag"].strip('"')


def test_who_comes_back_is_told_what_they_missed_and_nothing_twice(web: "Web", job: str, update: Update) -> None:
    """Last-Event-ID overrides the number in the address."""
    for number in range(30):
        web.report(update(job, processedItems=number))
    with Watching(web, job=job, last=12, after=3) as watching:
        assert watching.seqs_up_to(31) == ledger(web.database_url, job, 12)
    with Watching(web, job=job, after=30) as watching:
        assert watching.seqs_up_to(31) == [31]
    with Watching(web, job=job, lastEventId=30) as watching:
        assert watching.seqs_up_to(31) == [31]
    with Watching(web, job=job, last=31) as watching:
        assert watching.next("job")["events"] == []


def test_who_missed_very_many_is_told_how_many_are_left_out(web: "Web", job: str) -> None:
    """The newest thousand are sent, so that no message is too large for a page."""
    with psycopg.connect(web.database_url, autocommit=True) as connection:
        connection.execute(
            "SELECT tallymark.merge_progress(%s, jsonb_build_object('status', 'processing', 'processedItems', n))"
            " FROM generate_series(1, 1200) AS n",
            (job,),
        )
    with Watching(web, job=job, last=50) as watching:
        told = watching.next("job")
    assert [event["seq"] for event in told["events"]] == list(range(202, 1202))
    assert (told["lastSeq"], told["skipped"]) == (1201, 151)


def test_the_overview_tells_what_is_new_and_what_changed(start_web: StartWeb, db_url: str, update: Update) -> None:
    """First all rows, then those that changed, always with the order and the figures."""
    web = start_web(db_url)
    for job_id in ("a", "b", "c"):
        web.register(job_id)
    with Watching(web, view="overview", limit=3) as watching:
        first = watching.next("overview")
        assert first["order"] == ["c", "b", "a"] == [row["id"] for row in first["rows"]]
        totals = watching.next("totals")
        assert totals["statuses"]["statuses"]["queued"] == {"jobs": 3, "more": False}
        assert set(totals) == {"statuses", "throughput", "stalled", "rates"}
        web.report(update("b"))
        told = watching.next("overview")
        assert (told["order"], [row["id"] for row in told["rows"]]) == (["c", "b", "a"], ["b"])
        web.register("d")
        told = watching.next("overview")
        assert (told["order"], [row["id"] for row in told["rows"]]) == (["d", "c", "b"], ["d"])
        assert told["next"]
        totals = watching.next("totals")
        assert totals["statuses"]["statuses"]["running"]["jobs"] == 1
        assert list(totals["rates"]) == ["b"]
    page = web.call("GET", "/api/internal/overview?limit=3")
    assert [row["id"] for row in page.json["jobs"]] == ["d", "c", "b"]
    with Watching(web, view="overview", status="running") as watching:
        assert watching.next("overview")["order"] == ["b"]


def test_a_job_that_goes_or_comes_is_told(web: "Web", job: str, update: Update) -> None:
    """A deleted job is reported as gone. A job registered again under its id is sent from its start."""
    with psycopg.connect(web.database_url, autocommit=True) as connection, Watching(web, job=job) as watching:
        assert watching.next("job")["lastSeq"] == 1
        connection.execute("DELETE FROM tallymark.job_event WHERE job_id = %s", (job,))
        connection.execute("DELETE FROM tallymark.job WHERE id = %s", (job,))
        assert watching.next("gone") == {"id": job}
        web.register(job)
        web.report(update(job))
        web.report(update(job, processedItems=3))
        assert watching.seqs_up_to(2) == [1, 2]
    with Watching(web, job=new_job_id()) as watching:
        assert watching.next("gone")


def test_a_job_made_anew_is_told_from_its_start_also_where_nobody_saw_it_go(
    web: "Web", job: str, update: Update
) -> None:
    """It has fewer events than were sent, or more."""
    for events in (1, 5):
        with psycopg.connect(web.database_url) as connection, Watching(web, job=job) as watching:
            assert watching.next("job")
            connection.execute("DELETE FROM tallymark.job_event WHERE job_id = %s", (job,))
            connection.execute("DELETE FROM tallymark.job WHERE id = %s", (job,))
            connection.execute("SELECT tallymark.create_job(%s)", (job,))
            for number in range(events + 1):
                connection.execute(
                    "SELECT tallymark.merge_progress(%s, %s)", (job, json.dumps(update(job, processedItems=number)))
                )
            connection.commit()
            assert watching.seqs_up_to(events + 1) == list(range(1, events + 2))


def test_polling_gives_the_same_messages(web: "Web", job: str, update: Update) -> None:
    """A request that does not ask for a stream gets one answer."""
    web.report(update(job, processedItems=2))
    with Watching(web, job=job, last=1) as watching:
        told = next(told for told in watching.messages() if told.event == "job")
    for headers in ({"Accept": "application/json"}, {}):
        answer = web.call("GET", f"/events?job={job}&after=1", headers=headers)
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
        assert answer.json == {"messages": [{"event": "job", "id": told.id, "data": told.data}]}
    [message] = web.call("GET", f"/events?job={job}&after=2").json["messages"]
    assert (message["data"]["lastSeq"], message["data"]["events"]) == (2, [])
    unknown = new_job_id()
    assert web.call("GET", f"/events?job={unknown}").json["messages"] == [
        {"event": "gone", "id": None, "data": {"id": unknown}}
    ]
    overview = web.call("GET", f"/events?view=overview&q={job}").json["messages"]
    assert [message["event"] for message in overview] == ["overview", "totals"]
    assert overview[0]["data"]["order"] == [job]


def test_a_question_that_is_none_is_refused(web: "Web") -> None:
    """Before a stream starts."""
    for query in (
        "view=all",
        "job=j&view=all",
        "view=overview&limit=x",
        "view=overview&cursor=00",
        "job=%00",
        "job=j&after=x",
    ):
        for accept in ("text/event-stream", "application/json"):
            answer = web.call("GET", f"/events?{query}", headers={"Accept": accept})
            assert answer.status == 400, query
    assert web.call("GET", "/events?job=j", token=None).status == 401
    answer = web.call("HEAD", "/events?job=j", headers={"Accept": "text/event-stream"})
    assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream")


def test_a_token_with_a_prefix_sees_only_its_jobs(
    start_web: StartWeb, db_url: str, db: Connection, update: Update
) -> None:
    """In the figures, too, and while another client watches everything."""
    web = start_web(db_url)
    for job_id in ("mine_1", "yours_1"):
        web.register(job_id)
        web.report(update(job_id))
    token = create_token(db, "mine", ["read"], job_prefix="mine_")
    with Watching(web, view="overview") as everything, Watching(web, view="overview", token=token) as mine:
        assert everything.next("overview")["order"] == ["yours_1", "mine_1"]
        assert mine.next("overview")["order"] == ["mine_1"]
        totals = mine.next("totals")
        assert totals["statuses"]["jobs"] == 1
        assert list(totals["rates"]) == ["mine_1"]
    with Watching(web, job="yours_1", token=token) as watching:
        assert watching.answer.status == 403
    assert web.call("GET", "/events?job=yours_1", token=token).status == 403
    assert web.call("GET", "/events?view=overview", token=token).json["messages"][0]["data"]["order"] == ["mine_1"]
