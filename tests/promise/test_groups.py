"""A group of bodies in one call: each gets what it gets alone, and the state is the same."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from .delivery import seen_items, updates_of
from .model import Json, Update, counted_items, expected
from .strategies import payloads

Connection = psycopg.Connection[Any]

#: The jobs, with their attributes. They sort differently by their bytes and by a language.
JOBS: dict[str, Json] = {"a": {}, "B": {"counting": "cumulative"}, "é": {}, "job/9": {}}
FOREIGN = "x-"
TIMELINE = [{"timestamp": "2025-01-06T19:15:01.000Z", "event": "own", "details": {"n": 1}}]


class Body(NamedTuple):
    """The body of a request, with its headers: what receive_progress gets. `text` is None for a place left empty."""

    text: str | None
    key: str | None = None
    prefix: str | None = None

    @property
    def sent(self) -> list[str | None]:
        """What the functions get."""
        return [TOO_LARGE.get(self.text or "", self.text), self.key, self.prefix]


class Outcome(NamedTuple):
    """What became of a body: an answer, or the SQLSTATE, message, detail and hint of a refusal."""

    answer: Any = None
    refusal: tuple[str, ...] | None = None


class Case(NamedTuple):
    """What is there before, what happens then, and the same in calls of these sizes."""

    before: list[Body]
    pruned: int
    command: str | None
    bodies: list[Body]
    sizes: list[int]


@st.composite
def updates(draw: st.DrawFn) -> Json:
    """Return an update as test_convergence has it, of one of a few jobs, sometimes with a repeated updateId."""
    payload = draw(payloads()) | {"taskId": draw(st.sampled_from(sorted(JOBS)))}
    if draw(st.booleans()):
        payload["updateId"] = draw(st.sampled_from(["u1", "u2", "u3", "u4"]))
    if draw(st.integers(0, 9)) == 0:
        payload["timeline"] = TIMELINE
    return payload


#: Bodies that are refused whatever the state is. `%s` is a job.
BAD = [
    "null",
    "7",
    '"text"',
    "{}",
    '[{"status": "started"}, 7, null, [1]]',
    '{"taskId": 5, "status": "started", "timestamp": "2025-01-06T19:15:01.000Z"}',
    '{"taskId": "%s", "timestamp": "2025-01-06T19:15:01.000Z"}',
    '{"taskId": "%s", "status": "processing"}',
    '{"taskId": "%s", "status": "lost", "timestamp": "2025-01-06T19:15:01.000Z", "processedItems": -1}',
    '{"taskId": "%s", "status": "processing", "timestamp": "yesterday"}',
    '{"taskId": "%s", "status": "processing", "timestamp": "2025-01-06T19:15:01.000Z", "processedItems": 1e131071}',
    '{"taskId": 1e131071, "status": "processing", "timestamp": "2025-01-06T19:15:01.000Z"}',
    '[{"taskId": "%s", "status": "processing", "timestamp": "2025-01-06T19:15:01.000Z", "custom": 1e131071}]',
    '{"taskId": "%s", "status": "processing", "timestamp": "2025-01-06T19:15:01.000Z", "itemsByType": {"": -1}}',
    '{"taskId": "nobody", "status": "processing", "timestamp": "2025-01-06T19:15:01.000Z"}',
    '{"taskId": "%s", "status": "started", "timestamp": "2025-01-06T19:15:01.000Z", "areas": [{"type": "group"}]}',
    *(
        '{"taskId": "%s", "status": "processing", "timestamp": "2025-01-06T19:15:01.000Z", ' + counts + "}"
        for counts in (
            *('"foundByType": {"": 1}', '"failedByType": {"pages": -1}', '"skippedByType": ["pages"]'),
            *('"totalsByType": {"pages": 0.5}', '"totalsByType": {"pages": 9007199254740992}'),
        )
    ),
    *(
        '{"taskId": "%s", "status": "processing", "timestamp": "2025-01-06T19:15:01.000Z", "itemKeys": ' + keys + "}"
        for keys in (
            *('["a"]', '"a"', '{"": ["a"]}', '{"pages": []}', '{"pages": "a"}', '{"pages": ["a", ""]}'),
            *('{"pages": ["a", null]}', '{"pages": [7]}', '{"pages": ["' + "k" * 1025 + '"]}'),
            *('{"pages": ["a"]}, "itemsByType": {"pages": 1}', '{"' + "t" * 101 + '": ["a"]}'),
        )
    ),
    '{"taskId": "%s", "status": "waiting", "timestamp": "2025-01-06T19:15:01.000Z", "waitUntil": "soon"}',
    '{"taskId": "%s", "status": "waiting", "timestamp": "2025-01-06T19:15:01.000Z", "waitUntil": 7, "reason": ["x"]}',
    '{"taskId": "%s", "status": "waiting", "timestamp": "2025-01-06T19:15:01.000Z", "reason": "' + "r" * 101 + '"}',
    '{"taskId": "%s", "status": "processing", "timestamp": "2025-01-06T19:15:01.000Z", "doneBeyond": "a"}',
    '{"taskId": "%s", "status": "processing", "timestamp": "2025-01-06T19:15:01.000Z", "doneBeyond": [""]}',
    '{"taskId": "%s", "status": "started", "timestamp": "2025-01-06T19:15:01.000Z", "updateId": "' + "u" * 256 + '"}',
    '{"taskId": "' + "j" * 300 + '", "status": "started", "timestamp": "2025-01-06T19:15:01.000Z"}',
]
#: Bodies that are refused for their size, by short names that keep failures readable.
TOO_LARGE = {
    "@long": '{"taskId": "a", "status": "processing", "timestamp": "2025-01-06T19:15:01.000Z", "custom": "'
    + "x" * 2**20
    + '"}',
    "@keys": '{"taskId": "a", "status": "processing", "timestamp": "2025-01-06T19:15:01.000Z", "itemKeys": {"pages": '
    + json.dumps([str(number) for number in range(1001)])
    + "}}",
    "@many": "[" + ",".join(["7"] * 1001) + "]",
}


GOOD_KINDS = ("update",) * 6 + ("batch", "batch", "empty")


@st.composite
def bodies(draw: st.DrawFn, kinds: tuple[str, ...]) -> Body:
    """Return a body: mostly an update, else a batch, something bad, or an empty place."""
    kind = draw(st.sampled_from(kinds))
    prefix = draw(st.sampled_from([None, None, None, ""]))
    if kind == "empty":
        return Body(None)
    if kind == "bad":
        text = draw(st.sampled_from(BAD * 2 + sorted(TOO_LARGE)))
        return Body(text.replace("%s", draw(st.sampled_from(sorted(JOBS)))), prefix=prefix)
    if kind == "batch":
        text = json.dumps([draw(updates()) for _ in range(draw(st.integers(0, 4)))])
        return Body(text, prefix=draw(st.sampled_from([prefix, "a", FOREIGN])))
    return Body(
        json.dumps(draw(updates())),
        key=draw(st.sampled_from([None, None, None, "u1", "u2", "k"])),
        prefix=FOREIGN if kind == "foreign" else prefix,
    )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Return a case; later bodies repeat earlier ones now and then."""
    # Without a refusal a group takes another way.
    kinds = draw(st.sampled_from([GOOD_KINDS, (*GOOD_KINDS, "bad", "bad", "foreign")]))
    sent = draw(st.lists(bodies(kinds), min_size=1, max_size=10))
    sent += [draw(st.sampled_from(sent)) for _ in range(draw(st.integers(0, 3)))]
    before = [Body(json.dumps(draw(updates()))) for _ in range(draw(st.integers(0, 3)))]
    return Case(
        before=before,
        pruned=draw(st.integers(0, 2)),
        command=draw(st.sampled_from([None, "pause", "cancel"])),
        bodies=draw(st.permutations(sent + draw(st.lists(st.sampled_from(before), max_size=2)) if before else sent)),
        sizes=draw(st.lists(st.integers(1, 12), min_size=1, max_size=4)),
    )


def alone(db: Connection, body: Body, *, register: bool = False) -> Outcome:
    """Send a body by itself."""
    if body.text is None:
        return Outcome()
    try:
        with db.transaction():
            row = db.execute(
                "SELECT tallymark.receive_progress(%s::jsonb, %s, %s, %s)", [*body.sent, register]
            ).fetchone()
    except psycopg.Error as error:
        diag = error.diag
        told = (error.sqlstate, diag.message_primary, diag.message_detail, diag.message_hint)
        return Outcome(refusal=tuple(text or "" for text in told))
    assert row
    return Outcome(answer=row[0])


def together(db: Connection, group: list[Body], *, wait: bool = False, register: bool = False) -> list[Outcome]:
    """Send bodies in one call; none of their jobs may be held."""
    rows = db.execute(
        "SELECT answer, refusal, held"
        " FROM tallymark.receive_group(%s::text[]::jsonb[], %s::text[], %s::text[], %s, %s)",
        [*([body.sent[place] for body in group] for place in range(3)), wait, register],
    ).fetchall()
    assert [held for _answer, _refusal, held in rows] == [None] * len(group)
    names = ("sqlstate", "message", "detail", "hint")
    return [
        Outcome(answer, None if refusal is None else tuple(refusal[name] for name in names))
        for answer, refusal, _held in rows
    ]


def state_of(db: Connection) -> dict[str, Any]:
    """Return all that is stored about all jobs, without the server's own times."""
    rows = db.execute(
        """SELECT j.id, jsonb_build_object('job', to_jsonb(j) - '{created_at,updated_at}'::text[],
             'started_at', tallymark.iso_timestamp(j.started_at), 'finished_at', tallymark.iso_timestamp(j.finished_at),
             'areas', coalesce((SELECT jsonb_object_agg(a.full_path, jsonb_build_object('details', a.details,
               'discovered_at', tallymark.iso_timestamp(a.discovered_at)))
               FROM tallymark.job_area AS a WHERE a.job_id = j.id), '{}'),
             'clocks', (SELECT jsonb_object_agg(a.full_path, a.clocks) FROM tallymark.job_area AS a
               WHERE a.job_id = j.id),
             'seen', (SELECT jsonb_agg(to_jsonb(i) ORDER BY to_jsonb(i)) FROM tallymark.job_item AS i
               WHERE i.job_id = j.id),
             'ledger', (SELECT jsonb_agg(to_jsonb(e) - 'recorded_at' ORDER BY e.seq) FROM tallymark.job_event AS e
               WHERE e.job_id = j.id)),
             tallymark.verify_job(j.id)
           FROM tallymark.job AS j"""
    ).fetchall()
    assert [job for job, _state, verified in rows if not verified] == [], "each state is the fold of its ledger"
    return {job: state for job, state, _verified in rows}


def calls(case: Case) -> Iterator[list[Body]]:
    """Give the groups of a case."""
    sizes, left = itertools.cycle(case.sizes), case.bodies
    while left:
        size = next(sizes)
        yield left[:size]
        left = left[size:]


def accepted(db: Connection, sent: list[tuple[Body, Outcome]], jobs: dict[str, Json] = JOBS) -> dict[str, list[Update]]:
    """Return the updates that count, by job: the first of each key. `jobs` has the attributes of the jobs."""
    counted: dict[str, list[Update]] = {job: [] for job in jobs}
    for body, (answer, _refusal) in sent:
        if answer is None:
            continue
        is_batch = isinstance(answer, list)
        payloads_of = json.loads(body.text or "null")
        for payload, one in zip(*((payloads_of, answer) if is_batch else ([payloads_of], [answer])), strict=True):
            if one["status"] != "received" or one["duplicate"]:
                continue
            whole = (
                payload if is_batch or body.key is None or payload.get("updateId") else payload | {"updateId": body.key}
            )
            counting = {name: value for name, value in jobs[payload["taskId"]].items() if name == "counting"}
            [update] = updates_of(db, [whole])
            counted[payload["taskId"]].append(replace(update, payload=counting | whole))
    return counted


def check(db: Connection, case: Case) -> None:
    """Compare groups with the same bodies one by one, and with the definition."""
    with db.transaction(force_rollback=True):
        for job, attributes in JOBS.items():
            db.execute("SELECT tallymark.create_job(%s, %s)", [job, json.dumps(attributes)])
        before = [(body, alone(db, body)) for body in case.before]
        for job in JOBS:
            db.execute("SELECT tallymark.prune_job(%s, 'infinity', %s, 1000)", [job, 2 - case.pruned])
        if case.command:
            commanded = (
                "SELECT tallymark.request_command(id, %s) FROM tallymark.job WHERE NOT tallymark.is_terminal(status)"
            )
            db.execute(commanded, [case.command])
        with db.transaction(force_rollback=True):
            one_by_one = [alone(db, body) for body in case.bodies]
            state = state_of(db)
            seen = {job: seen_items(db, job) for job in JOBS}
        for wait in (False, True):
            with db.transaction(force_rollback=True):
                outcomes = [outcome for group in calls(case) for outcome in together(db, group, wait=wait)]
                assert outcomes == one_by_one, "each gets what it gets alone"
                assert state_of(db) == state, "and leaves what it leaves alone"
        counted = accepted(db, before + list(zip(case.bodies, one_by_one, strict=True)))
    for job, of_job in counted.items():
        model = expected(of_job)
        stored = state[job]["job"] | {name: state[job][name] for name in ("started_at", "finished_at", "areas")}
        assert {name: stored[name] for name in model} == model, "which is what the definition says"
        assert seen[job] == counted_items(of_job)


GOOD = '{"taskId": "%s", "status": "processing", "timestamp": "2025-01-06T19:15:01.000Z", "updateId": "%s"}'


@given(case=cases())
@example(
    # A refusal comes after others of its job were merged, and an earlier one is repeated with other content.
    case=Case(
        before=[Body(GOOD % ("a", "u1"))],
        pruned=2,
        command="pause",
        bodies=[
            Body(GOOD % ("é", "u1")),
            Body(GOOD % ("a", "u2")),
            Body(BAD[8].replace("%s", "a")),
            Body((GOOD % ("a", "u1")).replace("processing", "paused")),
            Body(None),
            Body(f"[{GOOD % ('é', 'u1')}, {GOOD % ('a', 'u2')}, {GOOD % ('nobody', 'u')}]"),
            Body(GOOD % ("B", "u1"), prefix=FOREIGN),
            *(Body(text.replace("%s", "B")) for text in [*BAD, *TOO_LARGE]),
        ],
        sizes=[100],
    )
)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_group_gives_each_body_what_it_gets_alone(db: Connection, case: Case) -> None:
    """Answers, refusals and state of a group of any bodies are those of the same bodies one by one, in that order."""
    check(db, case)


@pytest.mark.deep
@pytest.mark.timeout(3000)
@given(case=cases())
@settings(max_examples=5_000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_thousands_of_groups_give_each_body_what_it_gets_alone(db: Connection, case: Case) -> None:
    """The same promise over 5,000 cases."""
    check(db, case)
