"""Items that count once by their keys, over HTTP: from several workers at once, and which items are unseen."""

import random
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tallymark.functions.tokens import create_token

if TYPE_CHECKING:
    from tests.web.conftest import Web

Update = Callable[..., dict[str, object]]

_JOBS = "/api/internal/jobs"
_WORKERS = 3
#: Each worker sends so many updates, with keys that the others send, too.
_UPDATES = 40
_KEYS = [f"https://example.org/{number}" for number in range(400)]


def ask(web: "Web", job: str, body: object, **options: Any) -> Any:  # noqa: ANN401 - passed on
    """Ask which items a job has not counted."""
    return web.call("POST", f"{_JOBS}/{job}/unseen", body, **options)


def planned(jobs: list[str], number: int, update: Update) -> list[list[dict[str, Any]]]:
    """Return what a worker sends: groups of updates for all of its jobs, with keys that the other workers send, too."""
    draw = random.Random(number)
    return [
        [
            update(
                job,
                workerId=f"w{number}",
                updateId=f"{number}/{place}",
                itemKeys={"pages": draw.sample(_KEYS, 30), "issues": draw.sample(_KEYS[:50], 5)},
            )
            for job in draw.sample(jobs, len(jobs))
        ]
        for place in range(_UPDATES)
    ]


def deliver(web: "Web", body: object) -> Any:  # noqa: ANN401 - an answer, or several
    """Send an update or a batch until it is taken, as a crawler does, and return the answer."""
    while (answer := web.report(body)).status == 503:
        continue
    assert answer.status == 200, answer.body
    return answer.json


def report(web: "Web", groups: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Send groups of updates, in turn as a batch and one by one, and each once more; return the first answers."""
    answers = []
    for number, group in enumerate(groups):
        first = deliver(web, group) if number % 2 else [deliver(web, sent) for sent in group]
        again = deliver(web, group)
        assert [answer["duplicate"] for answer in first + again] == [False] * len(group) + [True] * len(group)
        for member in ("seq", "counted", "seenBefore"):
            assert [answer[member] for answer in again] == [answer[member] for answer in first]
        answers += [{"job": sent["taskId"], **answer} for sent, answer in zip(group, first, strict=True)]
    return answers


def test_three_workers_that_send_the_same_keys_at_once_count_each_once(web: "Web", update: Update) -> None:
    """Updates and batches of two jobs in any order, each sent twice: the union, no deadlock, and the answers add up."""
    jobs = [f"job_{secrets.token_hex(8)}" for _ in range(2)]
    for job in jobs:
        web.register(job)
    plans = [planned(jobs, number, update) for number in range(_WORKERS)]
    with ThreadPoolExecutor(_WORKERS) as workers:
        answers = [answer for found in workers.map(lambda plan: report(web, plan), plans) for answer in found]

    updates = [sent for plan in plans for group in plan for sent in group]
    for job in jobs:
        counts = web.call("GET", f"{_JOBS}/{job}").json["progress"]["itemsByType"]
        for kind in ("pages", "issues"):
            sent = set().union(*(one["itemKeys"][kind] for one in updates if one["taskId"] == job))
            assert counts[kind] == len(sent)
            assert counts[kind] == sum(answer["counted"][kind] for answer in answers if answer["job"] == job)
            unseen = ask(web, job, {"type": kind, "keys": _KEYS}).json["unseen"]
            assert unseen == [key for key in _KEYS if key not in sent]
        assert web.call("GET", f"{_JOBS}/{job}/verify").json["verified"]


def test_keys_that_a_killed_crawler_sends_again_in_other_updates_count_once(
    web: "Web", job: str, update: Update
) -> None:
    """60 of 100 pages, then the same crawl from an empty spool: 100."""
    pages = [f"https://example.org/{number}" for number in range(100)]
    for run, count in (("first", 60), ("second", 100)):
        for start in range(0, count, 20):
            sent = update(job, updateId=f"{run} {start}", itemKeys={"pages": pages[start : start + 20]})
            assert web.report(sent).status == 200
    assert web.call("GET", f"{_JOBS}/{job}").json["progress"]["itemsByType"] == {"issues": 3, "pages": 100}
    assert web.call("GET", f"{_JOBS}/{job}/verify").json["verified"]


def test_only_a_token_that_may_report_on_the_job_may_ask(web: "Web", job: str) -> None:
    """The scope write, and the token's prefix; another job's items stay unknown."""
    body = {"type": "pages", "keys": ["a"]}
    with psycopg.connect(web.database_url, autocommit=True) as db:
        name = secrets.token_hex(4)
        reader = create_token(db, f"{name} r", ["read"])
        writer = create_token(db, f"{name} w", ["write"])
        foreign = create_token(db, f"{name} f", ["write"], job_prefix="other_")
    assert ask(web, job, body, token=writer).json == {"unseen": ["a"]}
    assert [ask(web, job, body, token=token).status for token in (reader, foreign, "wrong", None)] == [
        403,
        403,
        401,
        401,
    ]
    assert ask(web, "other_job", body, token=foreign).status == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"", 400),
        (b"null", 400),
        (rb'{"type":"pages","keys":["\ud83d"]}', 400),
        (rb'{"type":"pages","keys":["\u0000"]}', 400),
        (b'{"type":"pages","keys":[1e131071]}', 400),
        (b"[" * 100_000, 400),
        (b'{"type":"pages","keys":["%b"]}' % (b"x" * 2_000_000), 413),
    ],
)
def test_what_is_no_question_is_refused_and_the_next_one_is_answered(
    web: "Web", job: str, body: bytes, status: int
) -> None:
    """As a problem document; the connection of the database that it used goes on working."""
    answer = ask(web, job, body)
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json["error"]
    assert ask(web, job, {"type": "pages", "keys": ["a"]}).json == {"unseen": ["a"]}


def test_a_question_waits_for_no_job(web: "Web", job: str, update: Update) -> None:
    """Also while another transaction holds the job's row."""
    assert web.report(update(job, itemKeys={"pages": ["a"]})).status == 200
    with psycopg.connect(web.database_url) as holder:
        holder.execute("SELECT FROM tallymark.job WHERE id = %s FOR UPDATE", [job])
        assert ask(web, job, {"type": "pages", "keys": ["a", "b"]}).json == {"unseen": ["b"]}
