"""Registering jobs and reading them over HTTP."""

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psycopg
import pytest
from tests.web.watching import wait_until

from tallymark import functions
from tallymark.functions.errors import NOT_GRANTED
from tallymark.schema.migrate import migrate

if TYPE_CHECKING:
    from tests.web.conftest import Web

Update = Callable[..., dict[str, object]]

JOBS = "/api/internal/jobs"


def test_a_job_is_created_once_and_then_stays_as_it_is(web: "Web") -> None:
    """201 with its location, then 200; the second call's attributes are ignored."""
    job_id = f"job_{secrets.token_hex(8)}"
    first = web.register(job_id, {"account": 1})
    again = web.register(job_id, {"account": 2})
    assert (first.status, again.status) == (201, 200)
    assert first.headers["location"] == f"{JOBS}/{job_id}"
    assert first.json == again.json == web.call("GET", f"{JOBS}/{job_id}").json
    assert (first.json["id"], first.json["status"], first.json["attributes"]) == (job_id, "queued", {"account": 1})


@pytest.mark.parametrize(
    "body",
    [{}, {"taskId": None}, {"taskId": ""}, {"taskId": 5}, {"taskId": "x" * 256}, {"taskId": "x", "attributes": 1}],
)
def test_a_job_that_cannot_be_is_refused(web: "Web", body: dict[str, object]) -> None:
    """400, and the invalid fields."""
    answer = web.call("POST", JOBS, body)
    assert answer.status == 400
    assert answer.json["details"][0]["field"] in {"taskId", "attributes"}


@pytest.mark.parametrize("body", ["", "[]", "{", '"x"', '{"taskId":"\\u0000"}', "[" * 100_000])
def test_a_registration_that_is_no_object_is_invalid(web: "Web", body: str) -> None:
    """400 with the same message as for updates."""
    answer = web.call("POST", JOBS, body)
    assert (answer.status, answer.json["error"]) == (400, "Invalid request body")


_IDS = [
    *("a/b", "/", "//a//", "a/", "progress", "timeline", "x/timeline/timeline", "%2F", "a?b=c#d", "..", "../x", " "),
    *("areas", "x/areas", "x/rate", "rate/rate", "x/history", "y/history/stages", "x/stages"),
    *("äöü ✓", "a\nb", "a\n", "\n", "a\tb", '"', "'; DROP TABLE job; --", "<script>", "%", "%00", "\\", "x" * 255),
]


@pytest.mark.parametrize("job_id", _IDS)
def test_an_id_may_have_any_character(web: "Web", update: Update, job_id: str) -> None:
    """It is registered, reported on and read back under the same id; none of our paths interferes."""
    mark = secrets.token_hex(4)
    registered = web.register(job_id)
    assert registered.status in {200, 201}, registered.body
    assert web.report(update(job_id, lastProcessedId=mark, updateId=mark)).status == 200
    path = f"{JOBS}/{quote(job_id, safe='')}"
    assert registered.headers["location"] == path
    job = web.call("GET", path)
    assert (job.status, job.json.get("id")) == (200, job_id)
    assert job.json["progress"]["lastProcessedId"] == mark
    events = web.call("GET", f"{path}/timeline").json["events"]
    assert events[-1]["seq"] == job.json["lastSeq"]


_UNKNOWN = [
    "nobody",
    "nobody/timeline",
    "%00",
    "%00/timeline",
    "a%00b",
    "%ff",
    "nobody%2Fx",
    "nobody?at=0",
    f"{'x' * 250}/timeline",
]
_UNKNOWN += [f"nobody/{part}" for part in ("history?field=stage", "areas", "rate", "stages", "diagnosis")]


@pytest.mark.parametrize("path", _UNKNOWN)
def test_an_unknown_job_is_not_found(web: "Web", path: str) -> None:
    """404, also for invalid ids."""
    answer = web.call("GET", f"{JOBS}/{path}")
    assert (answer.status, answer.json["error"]) == (404, "Job not found")


def test_an_unknown_job_is_called_by_its_name_when_its_timeline_is_asked_for(web: "Web") -> None:
    """Not by the name of a job whose id ends like the path."""
    answer = web.call("GET", f"{JOBS}/nobody/timeline")
    assert "nobody" in answer.json["detail"]
    assert "nobody/timeline" not in answer.json["detail"]


def test_the_newest_events_of_a_job_go_along_up_to_a_limit(web: "Web", job: str, update: Update) -> None:
    """`timelineLimit` sets the limit; a larger one than there are events returns all."""
    for number in range(3):
        web.report(update(job, processedItems=number))

    def seqs(query: str) -> list[int]:
        return [event["seq"] for event in web.call("GET", f"{JOBS}/{job}{query}").json["progress"]["timeline"]]

    assert seqs("") == [1, 2, 3, 4]
    assert seqs("?timelineLimit=2") == [3, 4]
    assert seqs("?timelineLimit=0") == []
    assert seqs("?timelineLimit=99999999999999999999") == [1, 2, 3, 4]


def test_a_timeline_is_read_page_by_page(web: "Web", job: str, update: Update) -> None:
    """Following `next` returns each event once, and ends."""
    for number in range(4):
        web.report(update(job, processedItems=number))
    seen: list[int] = []
    after: int | None = 0
    while after is not None:
        page = web.call("GET", f"{JOBS}/{job}/timeline?after={after}&limit=2").json
        seen += [event["seq"] for event in page["events"]]
        after = page["next"]
    assert seen == [1, 2, 3, 4, 5]


def test_a_timeline_can_be_of_one_kind_of_event(web: "Web", job: str, update: Update) -> None:
    """`event` selects the kind."""
    web.report(update(job, status="completed"))
    events = web.call("GET", f"{JOBS}/{job}/timeline?event=completion").json["events"]
    assert [(event["seq"], event["event"]) for event in events] == [(2, "completion")]
    assert set(events[0]) == {"seq", "timestamp", "event", "details", "recordedAt"}
    assert web.call("GET", f"{JOBS}/{job}/timeline?event=nothing").json == {"events": [], "next": None}


@pytest.mark.parametrize("query", ["after=x", "after=-1", "after=1.5", "limit=", "limit=%00", "after=" + "9" * 5000])
def test_a_number_that_is_none_is_refused(web: "Web", job: str, query: str) -> None:
    """400, and the name of the parameter."""
    answer = web.call("GET", f"{JOBS}/{job}/timeline?{query}")
    assert (answer.status, answer.json["error"]) == (400, "Invalid query")
    assert answer.json["details"][0]["field"] == query.partition("=")[0]


def test_a_kind_of_event_with_the_character_0_is_refused(web: "Web", job: str) -> None:
    """400, as in all other texts."""
    assert web.call("GET", f"{JOBS}/{job}/timeline?event=a%00").status == 400


def test_a_job_that_the_client_has_already_is_not_sent_again(web: "Web", job: str, update: Update) -> None:
    """304 without a body while nothing has changed; every change gives a new tag."""
    path = f"{JOBS}/{job}"
    first = web.call("GET", path)
    tag = first.headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*", f'W/"x,y", W/{tag}'):
        again = web.call("GET", path, headers={"If-None-Match": known})
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag), known
        assert "content-type" not in again.headers
    for unknown in ("", '"x"', '"{*}"', tag.strip('"')[:-1], '"a\\"b"'):
        assert web.call("GET", path, headers={"If-None-Match": unknown}).status == 200, unknown
    web.report(update(job, processedItems=1))
    changed = web.call("GET", path, headers={"If-None-Match": tag})
    assert (changed.status, changed.json["lastSeq"]) == (200, 2)
    assert changed.headers["etag"] != tag
    assert web.call("GET", f"{JOBS}/nobody", headers={"If-None-Match": "*"}).status == 404


def test_a_job_can_be_read_as_it_was(web: "Web", job: str, update: Update) -> None:
    """`at` is the number of an event; a number that the job does not have is refused."""
    before = web.call("GET", f"{JOBS}/{job}").json
    web.report(update(job, stage="later", itemsByType={"issues": 4}))
    past = web.call("GET", f"{JOBS}/{job}?at=1").json
    assert past == {name: value for name, value in before.items() if name not in {"createdAt", "attributes"}}
    assert web.call("GET", f"{JOBS}/{job}?at=2").json["progress"]["itemsByType"] == {"issues": 7}
    for query in ("at=3", "at=x", "at=-1", "at=99999999999999999999"):
        answer = web.call("GET", f"{JOBS}/{job}?{query}")
        assert (answer.status, answer.json["error"], answer.json["details"][0]["field"]) == (400, "Invalid query", "at")


def test_the_history_of_a_field_is_read_page_by_page(web: "Web", job: str, update: Update) -> None:
    """Each event that changed the field, and the value after it."""
    for number in range(4):
        web.report(update(job, itemsByType={"issues": number}, updateId=str(number)))
    seen = []
    after: int | None = 0
    while after is not None:
        page = web.call("GET", f"{JOBS}/{job}/history?field=itemsByType.issues&after={after}&limit=2").json
        seen += [(step["seq"], step["given"], step["value"]) for step in page["history"]]
        after = page["next"]
    assert seen == [(1, 3, 3), (2, 0, 3), (3, 1, 4), (4, 2, 6), (5, 3, 9)]
    missing = web.call("GET", f"{JOBS}/{job}/history")
    assert (missing.status, missing.json["details"]) == (400, [{"field": "field", "problem": "is required"}])


def test_what_is_part_of_a_job_is_added_up(web: "Web", update: Update) -> None:
    """Counts, percentage, a page of the jobs. A token for some jobs adds up only these, and names no other parent."""
    whole = f"all_{secrets.token_hex(8)}"
    for number in range(3):
        body = {"taskId": f"{whole}/{number}", "parent": whole}
        assert web.call("POST", JOBS, body).json["parent"] == whole
        web.report(update(f"{whole}/{number}", itemsByType={"issues": number}, totalItems=10))
    family = web.call("GET", f"{JOBS}/{whole}/family?limit=2").json
    assert (family["children"], family["itemsByType"], family["percentage"]) == (3, {"issues": 3}, 10)
    assert [job["id"] for job in family["jobs"]] == [f"{whole}/0", f"{whole}/1"]
    rest = web.call("GET", f"{JOBS}/{whole}/family?cursor={family['next']}").json
    assert ([job["id"] for job in rest["jobs"]], rest["next"]) == ([f"{whole}/2"], None)
    with psycopg.connect(web.database_url, autocommit=True) as connection:
        assert functions.family(connection, whole, max_jobs=2)["jobs"] == family["jobs"]
        token = functions.create_token(connection, f"t_{whole}", ["write", "read"], job_prefix=f"{whole}/1")
    own = web.call("GET", f"{JOBS}/{whole}%2F1/family", token=token)
    assert own.json["children"] == 0
    assert web.call("GET", f"{JOBS}/{whole}/family", token=token).status == 403
    foreign = web.call("POST", JOBS, {"taskId": f"{whole}/1/x", "parent": whole}, token=token)
    assert (foreign.status, foreign.json["error"]) == (403, "Forbidden")
    assert web.call("GET", f"{JOBS}/nobody_{whole}/family").status == 404


def test_a_diagnosis_of_a_job_can_be_read(web: "Web", job: str, update: Update) -> None:
    """What is wrong with it, and what to do."""
    assert web.report(update(job, processedItems=20, totalItems=40)).status == 200
    found = web.call("GET", f"{JOBS}/{job}/diagnosis").json
    assert (found["id"], found["verdict"]) == (job, "Nothing is wrong with this job, which is running.")
    assert [scenario["scenario"] for scenario in found["scenarios"]] == ["stalled", "data", "performance"]


def test_what_was_refused_and_what_came_twice_is_in_the_diagnosis(web: "Web", job: str, update: Update) -> None:
    """The ledger has neither; the endpoint records them within a few seconds."""
    assert web.report(update(job, processedItems="many")).status == 400
    for _ in range(2):
        assert web.report(update(job, updateId="once")).status == 200

    def severities() -> dict[str, str]:
        found = web.call("GET", f"{JOBS}/{job}/diagnosis").json
        return {item["code"]: item["severity"] for scenario in found["scenarios"] for item in scenario["findings"]}

    wait_until(lambda: {"refused", "duplicates"} <= set(severities()))
    assert (severities()["refused"], severities()["duplicates"]) == ("warning", "note")


def test_what_no_database_can_keep_keeps_nothing_else_from_being_noted(web: "Web", job: str, update: Update) -> None:
    """In a job's id or in a field's problem, together with records of another job."""
    halves, nul, escape = "\udfff\ud800", "\0", "\\u0000"
    for strange in (halves, nul, escape):
        assert web.report(update(strange)).status in (400, 404)
        assert web.report(update(job, processedItems="many", **{strange: 1})).status == 400

    def refused() -> bool:
        found = web.call("GET", f"{JOBS}/{job}/diagnosis").json
        return any(item["code"] == "refused" for scenario in found["scenarios"] for item in scenario["findings"])

    wait_until(refused)


def test_rate_stages_and_areas_of_a_job_can_be_read(web: "Web", job: str, update: Update) -> None:
    """Each at its own path, in the documented form."""
    web.report(update(job, stage="one", processedItems=5, totalItems=50))
    web.report(update(job, areas=[{"fullPath": "g", "type": "group"}, {"fullPath": "g/p", "type": "project"}]))
    rate = web.call("GET", f"{JOBS}/{job}/rate?window=60").json
    assert (rate["id"], rate["windowSeconds"], rate["itemsLeft"], rate["frequency"]["updates"]) == (job, 60, 45, 3)
    assert rate["itemsPerSecond"] > 0
    (stage,) = web.call("GET", f"{JOBS}/{job}/stages").json["stages"]
    assert (stage["stage"], stage["seq"], stage["endedAt"]) == ("one", 2, None)
    areas = web.call("GET", f"{JOBS}/{job}/areas").json["areas"]
    assert [(area["path"], area["parent"], area["depth"]) for area in areas] == [("g", None, 0), ("g/p", "g", 1)]
    assert web.call("GET", f"{JOBS}/{job}/areas?depth=0").json["areas"][0]["path"] == "g"
    bad = web.call("GET", f"{JOBS}/{job}/areas?depth=x&limit=y&unknown=z")
    assert [problem["field"] for problem in bad.json["details"]] == ["depth", "limit", "unknown"]
    assert web.call("GET", f"{JOBS}/{job}/rate?window=0").status == 400


def test_health_needs_no_token_and_readiness_means_that_updates_can_be_taken(
    start_web: Callable[..., "Web"], web: "Web", empty_url: str
) -> None:
    """/healthz depends on nothing else; /readyz needs a database with all functions."""
    assert web.call("GET", "/healthz", token=None).status == 200
    assert web.call("GET", "/readyz", token=None).json == {"status": "ready"}

    bare = start_web(empty_url)
    assert bare.call("GET", "/healthz", token=None).status == 200
    answer = bare.call("GET", "/readyz", token=None)
    assert (answer.status, answer.json["error"]) == (503, "Database not migrated")


@pytest.mark.parametrize(
    "change",
    [
        "DROP FUNCTION tallymark.stages_page",
        "DROP FUNCTION tallymark.stages_page; CREATE FUNCTION tallymark.stages_page(job text) {body}",
        "DROP FUNCTION tallymark.stages_page; CREATE FUNCTION tallymark.stages_page(job_id text, more text) {body}",
    ],
)
def test_a_function_of_another_release_is_not_ready(
    start_web: Callable[..., "Web"], db: psycopg.Connection[Any], db_url: str, change: str
) -> None:
    """It is missing, an argument has another name, or there is one more that must be given."""
    web = start_web(db_url)
    assert web.call("GET", "/readyz").status == 200
    db.execute(change.format(body="RETURNS jsonb LANGUAGE sql AS 'SELECT NULL::jsonb'"))
    answer = web.call("GET", "/readyz")
    assert (answer.status, answer.json["error"]) == (503, "Database not migrated")
    db.execute("DROP FUNCTION IF EXISTS tallymark.stages_page")
    migrate(db_url)
    assert web.call("GET", "/readyz").status == 200


def test_a_user_that_lacks_a_role_is_told_so(
    start_web: Callable[..., "Web"], db: psycopg.Connection[Any], db_url: str, update: Update
) -> None:
    """503 names the missing roles, not a missing schema; what the other role permits works."""
    name = f"tallymark_test_{secrets.token_hex(6)}"
    db.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'p'")
    try:
        web = start_web(f"postgresql://{name}:p@{db.info.host}:{db.info.port}/{db.info.dbname}")
        refused = [web.call("GET", "/readyz"), web.register("j")]
        db.execute(f"GRANT tallymark_writer TO {name}")
        assert web.register("j").status == 201
        assert web.report(update("j")).status == 200
        refused += [web.call("GET", "/readyz"), web.call("GET", f"{JOBS}/j")]
        db.execute(f"GRANT tallymark_reader TO {name}")
        assert web.call("GET", "/readyz").status == 200
        # A replica without the functions is not used: reads go to the primary database.
        half = start_web(db_url, DATABASE_READ_URL=f"postgresql://{name}:p@{db.info.host}:{db.info.port}/postgres")
        ready = half.call("GET", "/readyz")
        read = half.call("GET", f"{JOBS}/j")
        web.stop()
        half.stop()
    finally:
        db.execute(f"DROP ROLE {name}")
    assert [(answer.status, answer.json["error"]) for answer in refused] == [(503, "Database unavailable")] * 4
    lacks = "This user of the database lacks {}: grant it that role."
    assert [answer.json["detail"] for answer in refused] == [
        lacks.format("tallymark_writer"),
        NOT_GRANTED,
        lacks.format("tallymark_reader"),
        NOT_GRANTED,
    ]
    assert (ready.status, ready.json["replica"]) == (200, {"used": False, "lagSeconds": None})
    assert read.status == 200


def test_reads_go_to_the_replica(start_web: Callable[..., "Web"], db_url: str, web: "Web") -> None:
    """DATABASE_READ_URL is where jobs are read; updates go to DATABASE_URL."""
    split = start_web(db_url, DATABASE_READ_URL=web.database_url)
    job_id = f"job_{secrets.token_hex(8)}"
    assert split.register(job_id).status == 201
    wait_until(lambda: split.call("GET", "/readyz").json["replica"]["used"])
    assert split.call("GET", f"{JOBS}/{job_id}").status == 404
    web.register(job_id)
    assert split.call("GET", f"{JOBS}/{job_id}").status == 200
